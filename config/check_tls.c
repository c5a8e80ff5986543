/* tls: what each listener presents and demands. */
#include "config/internal.h"

#include <string.h>

static bool used(const struct config *config, const struct config_tls *tls)
{
    for (size_t i = 0; i < config->listener_count; i++) {
        const char *name = config->listeners[i].tls;
        if (name && tls->name && strcmp(name, tls->name) == 0) {
            return true;
        }
    }
    return false;
}

static void check_one(const struct subject *subject, const struct config_tls *tls)
{
    bool off = tls->client_certificate == CONFIG_CLIENT_CERTIFICATE_OFF;
    if (!off && !tls->client_ca && !was_given(subject, "client_ca")) {
        complain(subject, PROBLEM_ERROR, "client_ca", WHOLE,
                 "is missing: name the roots that senders' certificates chain to, or set "
                 "client_certificate = \"off\"");
    }
    if (off && (tls->client_ca || tls->crl)) {
        complain(subject, PROBLEM_WARNING, tls->client_ca ? "client_ca" : "crl", WHOLE,
                 "has no effect: client_certificate is off");
    }
    if (tls->crl_required && !tls->crl) {
        complain(subject, PROBLEM_ERROR, "crl_required", WHOLE,
                 "would refuse every sender: set crl as well");
    }
    if (!used(subject->config, tls)) {
        complain(subject, PROBLEM_WARNING, NULL, WHOLE, "no listener uses it");
    }
}

void check_tls(const struct config *config, struct problems *problems)
{
    for (size_t i = 0; i < config->tls_count; i++) {
        const struct config_tls *tls = &config->tls[i];
        check_one(&(struct subject){config, problems, config_section("tls"), tls}, tls);
    }
}
