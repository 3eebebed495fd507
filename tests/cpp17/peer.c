/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The other side of api.cpp, in C: sends back twice what it gets, a struct and an array, until it
 * is interrupted by SIGTERM.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <zcp/zcp.h>

struct imu {
	double acceleration[3];
	double rotation[3];
};

static struct zcp_node *node;

static void on_signal(int number)
{
	(void)number;
	zcp_node_interrupt(node);
}

static void on_struct(const struct zcp_sample *sample, void *publisher)
{
	const struct imu *from = zcp_sample_as(sample, struct imu);
	struct imu to;

	if (!from || from->acceleration[2] < 9.8)
		return;
	to = *from;
	to.rotation[2] *= 2;
	if (zcp_publisher_send(publisher, &to, sizeof(to)) < 0)
		fprintf(stderr, "%s\n", zcp_node_error(node));
}

static void on_array(const struct zcp_sample *sample, void *publisher)
{
	size_t n = sample->size / sizeof(float);
	const float *from = sample->data;
	struct zcp_loan loan;
	float *to;

	if (zcp_publisher_loan(publisher, sample->size, &loan) < 0)
		return;
	to = loan.data;
	for (size_t i = 0; i < n; i++)
		to[i] = 2 * from[i];
	if (zcp_publisher_publish(publisher, &loan) < 0)
		fprintf(stderr, "%s\n", zcp_node_error(node));
}

int main(void)
{
	struct zcp_subscriber *structs, *arrays;
	struct zcp_publisher *structs_back, *arrays_back;
	struct sigaction action;
	int r;

	if (zcp_node_open(&node, NULL) < 0)
		return fprintf(stderr, "%s\n", zcp_node_error(NULL)), 1;
	memset(&action, 0, sizeof(action));
	action.sa_handler = on_signal;
	(void)sigaction(SIGTERM, &action, NULL);
	if (ZCP_PUBLISHER_OPEN(&structs_back, node, "to_cpp/struct", struct imu) < 0 ||
	    ZCP_PUBLISHER_OPEN(&arrays_back, node, "to_cpp/array", float,
			       .max_payload = 100 * sizeof(float)) < 0 ||
	    ZCP_SUBSCRIBER_OPEN(&structs, node, "to_c/struct", struct imu) < 0 ||
	    ZCP_SUBSCRIBER_OPEN(&arrays, node, "to_c/array", float) < 0)
		return fprintf(stderr, "%s\n", zcp_node_error(node)), 1;
	zcp_subscriber_on_sample(structs, on_struct, structs_back);
	zcp_subscriber_on_sample(arrays, on_array, arrays_back);
	r = zcp_node_run(node);
	if (r < 0)
		fprintf(stderr, "%s\n", zcp_node_error(node));
	zcp_node_close(node);
	return r < 0;
}
