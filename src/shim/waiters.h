/* Calls that wait for something: any number of them, each may be cancelled by its client at any
 * time. */
#pragma once

#include "base/list.h"
#include "ttrpc/server.h"

/* Parks `call` in the list. -ENOMEM: the call is answered here. */
int waiters_add(struct list *waiters, struct ttrpc_call *call);

/* Answers all of them with a message, in the order in which they came, and empties the list. */
void waiters_reply(struct list *waiters, const ProtobufCMessage *response);

/* Answers all of them with an error. */
void waiters_fail(struct list *waiters, const struct err *err);
