/* Preloaded into keepalived, so that it runs its checks where the kernel has no IPVS: the socket options of IPVS (linux/ip_vs.h: from
 * 64 + 1024 + 64 on) always succeed and tell of nothing. All other calls go where they always go. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>

#define IS_IPVS(level, name) ((level) == IPPROTO_IP && (name) >= 1152 && (name) < 1248)

int setsockopt(int fd, int level, int name, const void *value, socklen_t length)
{
	static int (*next)(int, int, int, const void *, socklen_t);

	if (IS_IPVS(level, name))
		return 0;
	if (!next)
		next = dlsym(RTLD_NEXT, "setsockopt");
	return next(fd, level, name, value, length);
}

int getsockopt(int fd, int level, int name, void *value, socklen_t *length)
{
	static int (*next)(int, int, int, void *, socklen_t *);

	if (IS_IPVS(level, name)) {
		memset(value, 0, *length);
		return 0;
	}
	if (!next)
		next = dlsym(RTLD_NEXT, "getsockopt");
	return next(fd, level, name, value, length);
}
