#include "oci/init_contract.h"

#include "base/fd.h"

int init_message_send(int control, enum init_message_type type, const struct err *err, int fd)
{
	struct init_message msg = {.version = INIT_CONTRACT_VERSION, .type = (uint32_t)type};

	if (err)
		msg.err = *err;
	return fd_send(control, &msg, sizeof(msg), fd);
}
