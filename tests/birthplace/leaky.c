/* Calico 3.29.0's leak in C: find_host_mtu opens a route socket, binds it, forgets it.
 * Usage: leaky COUNT */
#include <linux/netlink.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int mtu;

__attribute__((noinline)) static int find_host_mtu(void)
{
	struct sockaddr_nl any = {.nl_family = AF_NETLINK};
	int forgotten = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	if (forgotten < 0 || bind(forgotten, (struct sockaddr *)&any, sizeof(any)))
		return -1;
	return 1500;
}

__attribute__((noinline)) static void apply_dataplane(void)
{
	mtu = find_host_mtu();
	if (mtu < 0)
		exit(1);
}

int main(int argc, char **argv)
{
	int count = argc > 1 ? atoi(argv[1]) : 0;

	while (count-- > 0)
		apply_dataplane();
	for (;;)
		pause();
}
