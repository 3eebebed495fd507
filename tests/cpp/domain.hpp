// SPDX-License-Identifier: Apache-2.0
//
// A runtime directory of the test's own, and the end of the zcpd that a node starts there.
#ifndef ZCP_TESTS_CPP_DOMAIN_HPP
#define ZCP_TESTS_CPP_DOMAIN_HPP

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <poll.h>
#include <string>
#include <sys/syscall.h>
#include <unistd.h>

#include <zcp/zcp.h>

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			std::fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__,          \
				     #condition);                                                  \
			std::exit(1);                                                              \
		}                                                                                  \
	} while (false)

// Checks that a call on a node (or NULL: zcp_node_open) gave 0.
inline void check_ok(int r, const zcp_node *node, const char *what)
{
	if (r == 0)
		return;
	std::fprintf(stderr, "%s: %d (%s) %s\n", what, r, zcp_strerror(r), zcp_node_error(node));
	std::exit(1);
}

class test_domain
{
      public:
	test_domain() : directory_("/tmp/zcp-cpp-XXXXXX")
	{
		CHECK(mkdtemp(&directory_[0]));
		CHECK(setenv("ZCP_RUNTIME_DIR", directory_.c_str(), 1) == 0);
		CHECK(unsetenv("ZCP_DOMAIN") == 0);
		CHECK(unsetenv("ZCP_AUTO_START") == 0);
	}

	~test_domain()
	{
		end_runtime();
		const std::string command = "rm -rf '" + directory_ + "'";
		// NOLINTNEXTLINE(cert-env33-c)
		if (std::system(command.c_str()) != 0)
			std::fprintf(stderr, "cannot remove %s\n", directory_.c_str());
	}

	test_domain(const test_domain &) = delete;
	test_domain &operator=(const test_domain &) = delete;

      private:
	std::string directory_;

	void end_runtime() const
	{
		std::ifstream file(directory_ + "/default/zcpd.pid");
		int pid = 0;

		if (!(file >> pid) || pid <= 0)
			return;
		pollfd ended = { static_cast<int>(syscall(SYS_pidfd_open, pid, 0)), POLLIN, 0 };
		if (ended.fd < 0)
			return;
		(void)syscall(SYS_pidfd_send_signal, ended.fd, SIGTERM, nullptr, 0);
		if (poll(&ended, 1, 30000) != 1)
			std::fprintf(stderr, "zcpd (pid %d) does not end\n", pid);
		(void)close(ended.fd);
	}
};

#endif
