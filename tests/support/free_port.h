/* A port for servers that can't ask for port 0 and tell which one they got: two workers that share one, another program.
 */
#ifndef TESTS_SUPPORT_FREE_PORT_H
#define TESTS_SUPPORT_FREE_PORT_H

/* A port of 127.0.0.1 that is free now. It lies below those that the kernel gives to outgoing connections and to port 0,
 * so that no other program gets it by chance, and two processes look in different places. */
unsigned free_port(void);

#endif
