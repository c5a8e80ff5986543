/* links: vpn */
/* A line of status: read or refused with words; what is read stays within its bounds. */
#include "vpn/status.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(bool good)
{
    if (!good)
        abort();
}

static void check_text(const char *text, size_t size)
{
    check(memchr(text, '\0', size) != NULL);
    for (; *text != '\0'; text++)
        check(*text >= ' ' && *text <= '~');
}

static void check_tunnel(const struct status *status, const struct status_tunnel *tunnel)
{
    check_text(tunnel->name, sizeof tunnel->name);
    check_text(tunnel->alert, sizeof tunnel->alert);
    check_text(tunnel->ike.remote_id, sizeof tunnel->ike.remote_id);
    check(status_find(status, tunnel->name) == tunnel);
    check(tunnel->state <= TUNNEL_UP && tunnel->in_state_ms >= 0);
    check(tunnel->child_count <= STATUS_CHILDREN_MAXIMUM);
    check(tunnel->warning_count <= STATUS_WARNINGS_MAXIMUM);
    for (size_t i = 0; i < tunnel->child_count; i++) {
        check(tunnel->children[i].local_count <= STATUS_SELECTORS_MAXIMUM);
        check(tunnel->children[i].remote_count <= STATUS_SELECTORS_MAXIMUM);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct status status;
    char error[160];
    int result = status_read((const char *)data, size, &status, error);

    check((result == -EBADMSG) == (error[0] != '\0'));
    if (result != 0)
        return 0;
    check(status.count <= STATUS_TUNNELS_MAXIMUM);
    for (size_t i = 0; i < status.count; i++)
        check_tunnel(&status, &status.tunnels[i]);
    status_free(&status);
    return 0;
}
