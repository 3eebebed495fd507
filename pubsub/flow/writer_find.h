/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which chunk a publisher takes next. Between the files of the writer alone.
 */
#ifndef ZCP_FLOW_WRITER_FIND_H
#define ZCP_FLOW_WRITER_FIND_H

#include "pubsub/flow/writer.h"

/*
 * Inside op, where the usual way has found nothing: what has come back by the subscribers' word, then
 * exactly, if that leaves fewer than rotate; one that was set aside, a spare one, a FREE one; and last
 * what else has come back, whose lines are perhaps still being read. Returns a ref, or ZCP_REF_NONE.
 * Progress as zcp_writer_loan().
 */
uint32_t zcp_writer_find(struct zcp_writer *writer);

#endif
