/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at locks.
 */
#include "runtime/serve/strangers.h"

/* Between two looks. */
#define LOOK_MS 200

void zcpd_strangers_end(struct zcpd_server *server)
{
	struct zcpd_session *session, *next;

	server->has_strangers = false;
	for (session = LIST_FIRST(&server->sessions); session; session = next) {
		next = LIST_NEXT(session, link);
		if (session->entry.pid != 0 || session->socket >= 0 || !session->entry.returning)
			continue;
		if (zcpd_registry_is_over(&server->registry, session->entry.signal))
			zcpd_session_end_dead(session);
		else
			server->has_strangers = true;
	}
}

static void on_look(uv_timer_t *timer)
{
	zcpd_strangers_end(timer->data);
}

void zcpd_strangers_watch(struct zcpd_server *server)
{
	if (server->has_strangers && !uv_is_active((const uv_handle_t *)&server->strangers_timer))
		(void)uv_timer_start(&server->strangers_timer, on_look, LOOK_MS, 0);
}
