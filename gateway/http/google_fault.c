#include "http/google_fault.h"

#include <stdio.h>
#include <string.h>

const json_t *google_error_detail(const json_t *root, const char *member)
{
    const json_t *details = json_object_get(json_object_get(root, "error"), "details");

    for (size_t i = 0; i < json_array_size(details); i++) {
        const json_t *value = json_object_get(json_array_get(details, i), member);

        if (value != NULL)
            return value;
    }
    return NULL;
}

#define SAY(...) snprintf(ret_words, size, __VA_ARGS__)

static void google_say_forbidden(const struct config_store *store, const char *quota_project,
                                 const json_t *root, char *ret_words, size_t size)
{
    const char *why = json_string_value(google_error_detail(root, "reason"));

    why = why == NULL ? "" : why;
    if (strcmp(why, "SERVICE_DISABLED") == 0)
        SAY("HTTP 403: is the Cloud Healthcare API enabled in project %s?", store->project);
    else if (strcmp(why, "BILLING_DISABLED") == 0)
        SAY("HTTP 403: has project %s a billing account?", store->project);
    else if (strcmp(why, "ACCESS_TOKEN_SCOPE_INSUFFICIENT") == 0)
        SAY("HTTP 403: token_scope is too narrow for the Cloud Healthcare API");
    else if (strcmp(why, "USER_PROJECT_DENIED") == 0 && quota_project != NULL)
        SAY("HTTP 403: may the account use quota project %s?", quota_project);
    else
        SAY("HTTP 403: has the account roles/healthcare.hl7V2Ingest on store %s, and is it project "
            "%s, location %s, dataset %s?",
            store->store, store->project, store->location, store->dataset);
}

bool google_fault_words(const struct config_store *store, const char *quota_project, int status,
                        const json_t *root, char *ret_words, size_t size)
{
    if (status == 401)
        SAY("HTTP 401: the token is not taken: check credentials and token_scope");
    else if (status == 403)
        google_say_forbidden(store, quota_project, root, ret_words, size);
    else if (status == 404 && root != NULL)
        SAY("HTTP 404: is there store %s in project %s, location %s, dataset %s?", store->store,
            store->project, store->location, store->dataset);
    else if (status == 404 || status == 405)
        SAY("HTTP %d, and no JSON of Google's: check endpoint and api_version", status);
    else
        return false;
    return true;
}
