#include "ttrpc/message.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bootstrap.pb-c.h"
#include "proto/events.pb-c.h"
#include "proto/task.pb-c.h"
#include "proto/ttrpc.pb-c.h"

Test(ttrpc_message, comes_back_as_it_was_sent)
{
	Task__StateRequest m = TASK__STATE_REQUEST__INIT;
	Task__StateRequest *back;
	uint8_t *data;
	size_t len;

	m.id = (char *)"c1";
	cr_assert_eq(ttrpc_message_encode(&m.base, 100, &data, &len), 0);
	cr_assert_eq(len, 4);
	back = (Task__StateRequest *)ttrpc_message_decode(m.base.descriptor, data, len);
	cr_assert_str_eq(back->id, "c1");
	cr_assert_str_eq(back->exec_id, "", "an absent string is empty, not NULL");
	protobuf_c_message_free_unpacked(&back->base, NULL);
	free(data);
}

Test(ttrpc_message, encodes_nothing_to_nothing_and_refuses_more_than_the_maximum)
{
	Task__StateRequest m = TASK__STATE_REQUEST__INIT;
	uint8_t *data = NULL;
	size_t len;

	cr_assert_eq(ttrpc_message_encode(&m.base, 0, &data, &len), 0);
	cr_assert_eq(len, 0);
	cr_assert_not_null(data);
	free(data);
	m.id = (char *)"c1";
	cr_assert_eq(ttrpc_message_encode(&m.base, 3, &data, &len), -EMSGSIZE);
}

Test(ttrpc_message, refuses_garbage)
{
	static const uint8_t garbage[] = {0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	static const uint8_t cut[] = {0x0a, 0x20, 'x'};

	cr_assert_null(
		ttrpc_message_decode(&task__state_request__descriptor, garbage, sizeof(garbage)));
	cr_assert_null(ttrpc_message_decode(&task__state_request__descriptor, cut, sizeof(cut)));
}

Test(ttrpc_message, refuses_a_message_that_would_cost_far_more_memory_than_its_size)
{
	const size_t len = 4 * 1024 * 1024;
	uint8_t *data = malloc(len);
	size_t i;

	/* metadata: two million empty elements */
	for (i = 0; i < len; i += 2) {
		data[i] = 5 << 3 | 2;
		data[i + 1] = 0;
	}
	cr_assert_null(ttrpc_message_decode(&ttrpc__request__descriptor, data, len));
	free(data);
}

Test(ttrpc_message, names_events_as_containerd_does)
{
	cr_assert_str_eq(
		containerd__events__task_exit__descriptor.name, "containerd.events.TaskExit");
	cr_assert_str_eq(
		containerd__events__task_oom__descriptor.name, "containerd.events.TaskOOM");
}

Test(ttrpc_message, keeps_a_negative_and_an_unnamed_enumerator)
{
	static const uint8_t trace[] = {
		0x18, 0xf8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01};
	static const uint8_t unnamed[] = {0x18, 0x63};
	Bootstrap__BootstrapParams *m;

	m = (Bootstrap__BootstrapParams *)ttrpc_message_decode(
		&bootstrap__bootstrap_params__descriptor, trace, sizeof(trace));
	cr_assert_eq(m->log_level, BOOTSTRAP__LOG_LEVEL__TRACE);
	protobuf_c_message_free_unpacked(&m->base, NULL);
	m = (Bootstrap__BootstrapParams *)ttrpc_message_decode(
		&bootstrap__bootstrap_params__descriptor, unnamed, sizeof(unnamed));
	cr_assert_eq((int)m->log_level, 99);
	protobuf_c_message_free_unpacked(&m->base, NULL);
}
