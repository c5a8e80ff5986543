/* gateway, spool and admin: sizes that must fit each other, and things a start would trip over. */
#include "config/address.h"
#include "config/internal.h"

#include <string.h>
#include <sys/un.h>

static struct subject about(const struct config *config, struct problems *problems,
                            const char *section, const void *object)
{
    return (struct subject){config, problems, config_section(section), object};
}

/* The largest frame that any listener takes. */
static const struct config_listener *largest(const struct config *config)
{
    const struct config_listener *found = NULL;
    for (size_t i = 0; i < config->listener_count; i++) {
        const struct config_listener *listener = &config->listeners[i];
        if (!found || listener->maximum_frame_bytes > found->maximum_frame_bytes) {
            found = listener;
        }
    }
    return found;
}

static void check_sizes(const struct config *config, struct problems *problems)
{
    const struct config_listener *listener = largest(config);
    if (!listener) {
        return;
    }
    long long frame = (long long)listener->maximum_frame_bytes;
    const char *name = listener->name ? listener->name : "?";
    if (config->gateway.maximum_buffered_bytes < frame) {
        struct subject subject = about(config, problems, "gateway", &config->gateway);
        complain(&subject, PROBLEM_ERROR, "maximum_buffered_bytes", WHOLE,
                 "is smaller than maximum_frame_bytes (%lld) of listener %s: such a frame could "
                 "never be read",
                 frame, name);
    }
    if (config->spool.maximum_bytes < frame) {
        struct subject subject = about(config, problems, "spool", &config->spool);
        complain(&subject, PROBLEM_ERROR, "maximum_bytes", WHOLE,
                 "is smaller than maximum_frame_bytes (%lld) of listener %s: such a message could "
                 "never be stored",
                 frame, name);
    }
}

static void check_gateway(const struct config *config, struct problems *problems)
{
    const struct config_gateway *gateway = &config->gateway;
    struct subject subject = about(config, problems, "gateway", gateway);
    size_t most = sizeof(((struct sockaddr_un *)0)->sun_path) - 1;
    if (strlen(gateway->control_socket) > most) {
        complain(&subject, PROBLEM_ERROR, "control_socket", WHOLE,
                 "%s is longer than a socket's name can be (%zu bytes): set control_socket to a "
                 "shorter one",
                 gateway->control_socket, most);
    }
    if (gateway->dns_keep_s <= gateway->dns_refresh_s) {
        complain(&subject, PROBLEM_WARNING, "dns_keep_s", WHOLE,
                 "is not longer than dns_refresh_s: a DNS name admits nobody between two look-ups");
    }
    if (gateway->group && !gateway->user) {
        complain(&subject, PROBLEM_ERROR, "group", WHOLE,
                 "needs user: without it the gateway stays who it is");
    }
}

static void check_spool(const struct config *config, struct problems *problems)
{
    const struct config_spool *spool = &config->spool;
    struct subject subject = about(config, problems, "spool", spool);
    if (spool->type == CONFIG_SPOOL_MEMORY) {
        complain(
            &subject, PROBLEM_WARNING, "type", WHOLE,
            "a memory spool loses acknowledged messages when the process ends: for tests only");
    } else if (!spool->key_file && !was_given(&subject, "key_file")) {
        complain(&subject, PROBLEM_ERROR, "key_file", WHOLE,
                 "is missing: messages are encrypted at rest. Make one with: mllpctl key new "
                 "spool.key");
    }
}

static void check_admin(const struct config *config, struct problems *problems)
{
    char error[ADDRESS_ERROR_BYTES];
    struct address_endpoint endpoint;
    const struct config_admin *admin = &config->admin;
    if (admin->address && address_parse_endpoint(admin->address, &endpoint, error)) {
        struct subject subject = about(config, problems, "admin", admin);
        complain(&subject, PROBLEM_ERROR, "address", WHOLE, "%s", error);
    }
}

void check_process(const struct config *config, struct problems *problems)
{
    check_sizes(config, problems);
    check_gateway(config, problems);
    check_spool(config, problems);
    check_admin(config, problems);
}
