/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What publishers that are gone have left in a topic's pool.
 */
#ifndef ZCPD_REPAIR_SWEEP_H
#define ZCPD_REPAIR_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "runtime/domain/topic.h"

/*
 * Frees what publishers that are gone have left and no present subscriber uses, and no chunk of a
 * publisher that is there; with `all`, as the topic ends, whatever its publishers had. Returns how
 * many; topic->has_left says whether more would come back later.
 */
uint32_t zcpd_topic_sweep(struct zcpd_topic *topic, bool all);

#endif
