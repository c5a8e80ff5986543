#include "support/free_port.h"

#include <arpa/inet.h>
#include <assert.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { FIRST = 10000, COUNT = 10000 };
enum { STEP = 16 }; /* a process asks for a few ports, and its neighbour's pid is one more */

static bool is_free(unsigned port)
{
    const struct sockaddr_in in = {.sin_family = AF_INET,
                                   .sin_port = htons((unsigned short)port),
                                   .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int status;

    assert(fd >= 0);
    status = bind(fd, (const struct sockaddr *)&in, sizeof(in));
    close(fd);
    return status == 0;
}

unsigned free_port(void)
{
    static unsigned asked;

    for (unsigned tries = 0; tries < COUNT; tries++) {
        unsigned port = FIRST + ((unsigned)getpid() * STEP + asked++) % COUNT;

        if (is_free(port))
            return port;
    }
    fputs("no port of 127.0.0.1 is free\n", stderr);
    abort();
}
