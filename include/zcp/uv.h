/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A node in a libuv loop: callbacks run on the loop's thread, beside its timers and
 * sockets. Header-only, so that libzcp itself does not need libuv; link libuv yourself.
 *
 *   struct zcp_uv watch;
 *   zcp_uv_start(&watch, uv_default_loop(), node);
 *   uv_run(uv_default_loop(), UV_RUN_DEFAULT);
 *
 * The loop's thread owns the node from zcp_uv_start() to zcp_uv_stop(). A callback of the node may
 * call zcp_uv_stop() and then zcp_node_close().
 */
#ifndef ZCP_UV_H
#define ZCP_UV_H

#include <errno.h>
#include <uv.h>
#include <zcp/node.h>

#ifdef __cplusplus
extern "C" {
#endif

struct zcp_uv {
	uv_poll_t poll;
	struct zcp_node *node;
	/* what zcp_node_dispatch() returned last that was neither 0 nor -ETIMEDOUT, or 0 */
	int error;
};

static inline void zcp_uv_on_readable(uv_poll_t *poll, int status, int events)
{
	struct zcp_uv *watch = (struct zcp_uv *)poll->data;
	int r = status < 0 ? status : zcp_node_dispatch(watch->node, 0);

	(void)events;
	if (r == 0 || r == -ETIMEDOUT)
		return;
	/* Interrupted, or unable to go on: the loop's owner looks at `error`. */
	watch->error = r;
	uv_stop(poll->loop);
}

/**
 * Has the node dispatched by the loop. `watch` stays the caller's and must live until the
 * close callback of zcp_uv_stop() has run. The loop is stopped, with the reason in
 * watch->error, when zcp_node_interrupt() was called (-EINTR) or a dispatch failed.
 *
 * @return 0; the errors of zcp_node_fd(); those of uv_poll_init() and uv_poll_start()
 */
static inline int zcp_uv_start(struct zcp_uv *watch, uv_loop_t *loop, struct zcp_node *node)
{
	int fd = zcp_node_fd(node);
	int r;

	if (fd < 0)
		return fd;
	watch->node = node;
	watch->error = 0;
	r = uv_poll_init(loop, &watch->poll, fd);
	if (r < 0)
		return r;
	watch->poll.data = watch;
	return uv_poll_start(&watch->poll, UV_READABLE, zcp_uv_on_readable);
}

/** Takes the node out of the loop; `closed` (or NULL) runs when the loop has let go. */
static inline void zcp_uv_stop(struct zcp_uv *watch, uv_close_cb closed)
{
	uv_close((uv_handle_t *)&watch->poll, closed);
}

#ifdef __cplusplus
}
#endif

#endif
