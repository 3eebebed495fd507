/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shows zcp at work: starts a camera with three viewers and an inertial sensor with a reader,
 * each a process of its own, and says in a table what went between them. It has a runtime
 * directory of its own, so that it does not meet a domain that is in use.
 */
#define EXAMPLE "zcp-demo"

#include <assert.h>
#include <ftw.h>
#include <inttypes.h>
#include <limits.h>
#include <sys/signalfd.h>
#include <sys/stat.h>

#include "children.h"
#include "example.h"

enum {
	CAMERA,
	VIEWER,
	N_VIEWERS = 3,
	IMU = VIEWER + N_VIEWERS,
	IMU_READER,
	N_CHILDREN,
	/* how long what must end may take, milliseconds */
	PATIENCE_MS = 10000,
};

static_assert(N_CHILDREN <= CHILDREN_MAX, "children_wait() has room for them");

struct demo {
	double seconds;
	/* where the programs are, with the last slash */
	char programs[PATH_MAX];
	/* our runtime directory; "": not made yet */
	char directory[64];
	/* readable after SIGINT and SIGTERM */
	int stop_fd;
	bool stopped;
	struct child children[N_CHILDREN];
};

/* A row of the table: a publisher and its subscribers. */
struct row {
	const char *topic;
	int publisher, first, n_subscribers;
	uint64_t n_sent, n_received, n_bytes, n_lost, n_copied, n_damaged;
	double rate;
	/* of the slowest subscriber */
	uint64_t p50_ns, p99_ns;
};

static const char usage[] =
	"usage: zcp-demo [--seconds N]\n"
	"\n"
	"Sends 1080p camera frames to three processes and inertial samples to a fourth, for\n"
	"N seconds (5), and shows what it took.\n";

static int prepare(struct demo *demo)
{
	ssize_t n = readlink("/proc/self/exe", demo->programs, sizeof(demo->programs) - 1);
	char *slash = n > 0 ? memrchr(demo->programs, '/', (size_t)n) : NULL;
	sigset_t signals;
	int i;

	for (i = 0; i < N_CHILDREN; i++)
		child_init(&demo->children[i]);
	if (!slash) {
		fprintf(stderr, EXAMPLE ": cannot find out where it is: is /proc mounted?\n");
		return EXAMPLE_FAILED;
	}
	slash[1] = '\0';

	(void)sigemptyset(&signals);
	(void)sigaddset(&signals, SIGINT);
	(void)sigaddset(&signals, SIGTERM);
	(void)sigprocmask(SIG_BLOCK, &signals, NULL);
	demo->stop_fd = signalfd(-1, &signals, SFD_CLOEXEC);
	if (demo->stop_fd < 0) {
		perror(EXAMPLE ": cannot make a signalfd");
		return EXAMPLE_FAILED;
	}

	/* short, because a socket's path may have 107 bytes */
	strcpy(demo->directory, "/tmp/zcp-demo-XXXXXX");
	if (!mkdtemp(demo->directory)) {
		demo->directory[0] = '\0';
		perror(EXAMPLE ": cannot make a directory in /tmp");
		return EXAMPLE_FAILED;
	}
	(void)setenv("ZCP_RUNTIME_DIR", demo->directory, 1);
	(void)setenv("ZCP_DOMAIN", "default", 1);
	(void)setenv("ZCP_AUTO_START", "1", 1);
	return 0;
}

static int start(struct demo *demo)
{
	static char seconds[32], n_viewers[16];
	static const struct {
		const char *name;
		const char *arguments[8];
	} plan[N_CHILDREN] = {
		[CAMERA] = { "camera_publisher",
			     { "camera_publisher", "--wait-subscribers", n_viewers, "--duration",
			       seconds, "--summary" } },
		[VIEWER] = { "camera_viewer 1", { "camera_viewer", "--summary" } },
		[VIEWER + 1] = { "camera_viewer 2", { "camera_viewer", "--summary" } },
		[VIEWER + 2] = { "camera_viewer 3", { "camera_viewer", "--summary" } },
		[IMU] = { "imu publish",
			  { "imu", "publish", "--wait-subscribers", "1", "--duration", seconds,
			    "--summary" } },
		[IMU_READER] = { "imu read", { "imu", "read", "--summary" } },
	};
	char path[PATH_MAX + 64];
	int i, r;

	(void)snprintf(seconds, sizeof(seconds), "%.3f", demo->seconds);
	(void)snprintf(n_viewers, sizeof(n_viewers), "%d", N_VIEWERS);
	for (i = 0; i < N_CHILDREN; i++) {
		(void)snprintf(path, sizeof(path), "%s%s", demo->programs, plan[i].arguments[0]);
		r = child_start(&demo->children[i], plan[i].name, path, plan[i].arguments);
		if (r < 0) {
			fprintf(stderr, EXAMPLE ": cannot start %s: %s\n", path, strerror(-r));
			return EXAMPLE_FAILED;
		}
	}
	return 0;
}

static bool runs(const struct demo *demo, int child)
{
	return child_runs(&demo->children[child]);
}

static int n_running(const struct demo *demo)
{
	int i, n = 0;

	for (i = 0; i < N_CHILDREN; i++)
		n += runs(demo, i);
	return n;
}

static bool any_failed(const struct demo *demo)
{
	int i;

	for (i = 0; i < N_CHILDREN; i++)
		if (child_failed(&demo->children[i]))
			return true;
	return false;
}

static void wait_a_little(struct demo *demo)
{
	if (children_wait(demo->children, N_CHILDREN, demo->stopped ? -1 : demo->stop_fd, 100))
		demo->stopped = true;
}

/* Has all end: the publishers by themselves, then the subscribers when asked. 0 if they do. */
static int finish(struct demo *demo)
{
	uint64_t until_ns = example_now_ns() + (uint64_t)(demo->seconds * 1e9) +
			    PATIENCE_MS * UINT64_C(1000000);
	int i, r = 0;

	while ((runs(demo, CAMERA) || runs(demo, IMU)) && !demo->stopped && !any_failed(demo) &&
	       example_now_ns() < until_ns)
		wait_a_little(demo);

	for (i = 0; i < N_CHILDREN; i++)
		child_signal(&demo->children[i], SIGTERM);
	until_ns = example_now_ns() + PATIENCE_MS * UINT64_C(1000000);
	while (n_running(demo) > 0 && example_now_ns() < until_ns)
		wait_a_little(demo);

	for (i = 0; i < N_CHILDREN; i++) {
		if (!runs(demo, i))
			continue;
		fprintf(stderr, EXAMPLE ": %s (pid %d) does not end; killed\n",
			demo->children[i].name, (int)demo->children[i].pid);
		child_signal(&demo->children[i], SIGKILL);
		r = EXAMPLE_FAILED;
	}
	while (n_running(demo) > 0)
		wait_a_little(demo);
	return r;
}

/* The first line of a file; "" if there is none. */
static void read_line(const char *path, char *line, int size)
{
	FILE *file = fopen(path, "re");

	if (!file || !fgets(line, size, file))
		line[0] = '\0';
	if (file)
		(void)fclose(file);
}

/* Ends the runtime that the first of the children started, if one did. */
static void end_runtime(const struct demo *demo)
{
	struct pollfd ended = { .fd = -1, .events = POLLIN };
	char path[PATH_MAX], line[32];
	pid_t pid;

	(void)snprintf(path, sizeof(path), "%s/default/zcpd.pid", demo->directory);
	read_line(path, line, sizeof(line));
	pid = (pid_t)strtol(line, NULL, 10);
	if (pid > 0)
		ended.fd = child_pidfd(pid);
	if (ended.fd < 0)
		return;

	/* the pidfd holds on to a process; is it the one that the file means? */
	(void)snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
	read_line(path, line, sizeof(line));
	if (strcmp(line, "zcpd\n") == 0) {
		(void)syscall(SYS_pidfd_send_signal, ended.fd, SIGTERM, NULL, 0);
		if (poll(&ended, 1, PATIENCE_MS) == 0)
			fprintf(stderr, EXAMPLE ": zcpd (pid %d) does not end\n", (int)pid);
	}
	(void)close(ended.fd);
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *place)
{
	(void)status;
	(void)type;
	(void)place;
	return remove(path);
}

static void clean_up(const struct demo *demo)
{
	end_runtime(demo);
	if (nftw(demo->directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0)
		fprintf(stderr, EXAMPLE ": cannot remove %s: %s\n", demo->directory,
			strerror(errno));
}

/* A number of a child's summary. */
static double number(const struct child *child, const char *key)
{
	char value[64];

	return child_summary(child, key, value, sizeof(value)) ? strtod(value, NULL) : 0;
}

/* Whether all files in the list "1034,1036" are in the other one. */
static bool is_within(char *list, const char *others)
{
	char *file, *rest, *at;
	size_t n;

	for (file = strtok_r(list, ",", &rest); file; file = strtok_r(NULL, ",", &rest)) {
		n = strlen(file);
		for (at = strstr(others, file); at; at = strstr(at + 1, file))
			if ((at == others || at[-1] == ',') && (at[n] == ',' || !at[n]))
				break;
		if (!at)
			return false;
	}
	return true;
}

/* Fills in a row; says what is wrong with it. 0 if nothing is. */
static int fill_in(const struct demo *demo, struct row *row)
{
	const struct child *publisher = &demo->children[row->publisher];
	char written[256] = "", read[256] = "";
	int i, r = 0;

	row->n_sent = (uint64_t)number(publisher, "sent");
	row->rate = number(publisher, "rate");
	(void)child_summary(publisher, "memory", written, sizeof(written));

	for (i = row->first; i < row->first + row->n_subscribers; i++) {
		const struct child *child = &demo->children[i];
		uint64_t n_received = (uint64_t)number(child, "received");
		uint64_t n_lost = (uint64_t)number(child, "lost");
		uint64_t n_damaged = (uint64_t)number(child, "damaged");
		uint64_t n_copied = (uint64_t)number(child, "copied");
		uint64_t p50_ns = (uint64_t)number(child, "p50_ns");
		uint64_t p99_ns = (uint64_t)number(child, "p99_ns");

		(void)child_summary(child, "memory", read, sizeof(read));
		if (n_received > 0 && !is_within(read, written))
			n_copied = n_received;
		row->n_received += n_received;
		row->n_bytes += (uint64_t)number(child, "bytes");
		row->n_lost += n_lost;
		row->n_damaged += n_damaged;
		row->n_copied += n_copied;
		row->p50_ns = p50_ns > row->p50_ns ? p50_ns : row->p50_ns;
		row->p99_ns = p99_ns > row->p99_ns ? p99_ns : row->p99_ns;

		if (n_received > 0 && n_received + n_lost == row->n_sent && n_copied == 0)
			continue;
		fprintf(stderr,
			EXAMPLE ": %s received %" PRIu64 " and lost %" PRIu64 " of %" PRIu64
				" messages on %s, %" PRIu64 " of them as copies\n",
			child->name, n_received, n_lost, row->n_sent, row->topic, n_copied);
		r = EXAMPLE_FAILED;
	}
	return r;
}

/* "1.12 GB/s" */
static const char *per_second(double bytes, char *text, size_t size)
{
	static const char units[][3] = { "B", "kB", "MB", "GB" };
	size_t unit = 0;

	while (bytes >= 1000 && unit < 3) {
		bytes /= 1000;
		unit++;
	}
	(void)snprintf(text, size, "%.*f %s/s", unit == 3 ? 2 : 0, bytes, units[unit]);
	return text;
}

/* "21.5 us", "1.20 ms" */
static const char *duration(uint64_t ns, char *text, size_t size)
{
	if (ns < 1000000)
		(void)snprintf(text, size, "%.1f us", (double)ns / 1e3);
	else
		(void)snprintf(text, size, "%.2f ms", (double)ns / 1e6);
	return text;
}

static void print_row(const struct row *row)
{
	double n_sent = row->n_sent ? (double)row->n_sent : 1;
	char moved[32], rate[32], p50[32], p99[32];

	(void)snprintf(rate, sizeof(rate), "%.1f Hz", row->rate);
	printf("%-12s %11d %6" PRIu64 " %9s %12s %6" PRIu64 " %9s %9s %5" PRIu64 "\n", row->topic,
	       row->n_subscribers, row->n_sent, rate,
	       per_second((double)row->n_bytes * row->rate / n_sent, moved, sizeof(moved)),
	       row->n_copied, duration(row->p50_ns, p50, sizeof(p50)),
	       duration(row->p99_ns, p99, sizeof(p99)), row->n_lost);
}

static void print_table(const struct row *rows, int n)
{
	int i;

	printf("\n%-12s %11s %6s %9s %12s %6s %9s %9s %5s\n", "topic", "subscribers", "sent",
	       "rate", "by reference", "copies", "p50", "p99", "lost");
	for (i = 0; i < n; i++)
		print_row(&rows[i]);
	printf("\n"
	       "by reference  what all subscribers read, in the publisher's own memory\n"
	       "copies        messages that lay anywhere else\n"
	       "p50, p99      from publish until the slowest subscriber has it: of half, and of\n"
	       "              99 %% of the messages\n"
	       "lost          overwritten before a subscriber came to take them\n");
}

static int judge(const struct demo *demo)
{
	struct row rows[] = {
		{ .topic = "camera/front",
		  .publisher = CAMERA,
		  .first = VIEWER,
		  .n_subscribers = N_VIEWERS },
		{ .topic = "imu/body", .publisher = IMU, .first = IMU_READER, .n_subscribers = 1 },
	};
	int i, r = 0;

	for (i = 0; i < N_CHILDREN; i++) {
		if (!child_failed(&demo->children[i]))
			continue;
		fputs(EXAMPLE ": ", stderr);
		child_complain(&demo->children[i], stderr);
		r = EXAMPLE_FAILED;
	}
	if (r)
		return r;
	if (demo->stopped) {
		fprintf(stderr, EXAMPLE ": stopped by a signal\n");
		return EXAMPLE_FAILED;
	}
	for (i = 0; i < 2; i++)
		r |= fill_in(demo, &rows[i]);
	print_table(rows, 2);
	return r;
}

int main(int argc, char **argv)
{
	static struct demo demo = { .seconds = 5, .stop_fd = -1 };
	int r;

	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--seconds") == 0) {
		demo.seconds = example_number("seconds", argv[2], 0.1, 3600);
	} else if (argc != 1) {
		fputs(usage, stderr);
		return EXAMPLE_USAGE;
	}

	r = prepare(&demo);
	if (r)
		return r;
	printf("zcp %s: a camera (1920x1080 RGB, 60 Hz) with %d viewers and an inertial sensor (1 kHz)\n"
	       "with a reader, %d processes, for %g s ...\n",
	       zcp_version_string(), N_VIEWERS, N_CHILDREN, demo.seconds);
	(void)fflush(stdout);

	r = start(&demo);
	if (r)
		demo.stopped = true;
	r |= finish(&demo);
	clean_up(&demo);
	if (r == 0 || any_failed(&demo))
		r |= judge(&demo);
	return r;
}
