#include "http/client_credentials.h"
#include "http/grant.h"

#include <errno.h>
#include <stdlib.h>

#define CLIENT_FORM_BYTES ((size_t)16 * 1024)
#define CLIENT_CREDENTIAL_BYTES ((size_t)8 * 1024)
#define CLIENT_PARTY "token endpoint"

struct client_grant {
    struct token_grant grant; /* first */
    struct http_origin *origin;
    char *url;
    struct buffer form;       /* the body of every request */
    struct buffer id, secret; /* form-encoded, NUL-terminated */
    char *token;
};

static int client_ask(struct token_grant *grant, unsigned step, struct token_step *ret_step,
                      char ret_words[TOKEN_WORDS_BYTES])
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          "Accept: application/json", NULL};
    const struct client_grant *client = (const struct client_grant *)grant;

    (void)step;
    (void)ret_words;
    *ret_step = (struct token_step){.party = CLIENT_PARTY,
                                    .origin = client->origin,
                                    .method = "POST",
                                    .url = client->url,
                                    .body = buffer_span(&client->form),
                                    .headers = headers,
                                    .basic_username = client->id.data,
                                    .basic_password = client->secret.data};
    return 0;
}

static enum token_progress client_take(struct token_grant *grant, unsigned step,
                                       const struct http_result *result,
                                       struct token_answer *ret_answer)
{
    (void)step;
    return grant_take(result, CLIENT_PARTY, &((struct client_grant *)grant)->token, ret_answer);
}

static void client_finish(struct token_grant *grant)
{
    grant_forget(&((struct client_grant *)grant)->token);
}

static void client_destroy(struct token_grant *grant)
{
    struct client_grant *client = (struct client_grant *)grant;

    grant_forget(&client->token);
    grant_wipe(&client->secret);
    buffer_free(&client->id);
    buffer_free(&client->form);
    free(client->url);
    free(client);
}

static const struct token_grant_operations client_operations = {
    .ask = client_ask, .take = client_take, .finish = client_finish, .destroy = client_destroy};

/* The request that is under way keeps its own copy. */
static int client_take_secret(struct client_grant *client, const char *client_secret)
{
    struct buffer secret;

    buffer_init(&secret, CLIENT_CREDENTIAL_BYTES);
    if (grant_encode(&secret, client_secret == NULL ? "" : client_secret) != 0 ||
        buffer_append_byte(&secret, '\0') != 0) {
        grant_wipe(&secret);
        return -ENOMEM;
    }
    grant_wipe(&client->secret);
    client->secret = secret;
    return 0;
}

void client_credentials_set_secret(struct token_grant *grant, const char *client_secret)
{
    (void)client_take_secret((struct client_grant *)grant, client_secret);
}

static int client_prepare(struct client_grant *client, const struct client_credentials *settings)
{
    client->url = strdup(settings->token_url);
    if (client->url == NULL || grant_add(&client->form, "grant_type", "client_credentials") != 0 ||
        grant_add(&client->form, "scope", settings->scope) != 0 ||
        grant_add(&client->form, "audience", settings->audience) != 0 ||
        grant_encode(&client->id, settings->client_id) != 0 ||
        buffer_append_byte(&client->id, '\0') != 0 ||
        client_take_secret(client, settings->client_secret) != 0)
        return -ENOMEM;
    return 0;
}

struct token_grant *client_credentials_grant_new(struct http_origin *origin,
                                                 const struct client_credentials *settings)
{
    struct client_grant *client = calloc(1, sizeof(*client));

    if (client == NULL)
        return NULL;
    client->grant.operations = &client_operations;
    client->origin = origin;
    buffer_init(&client->form, CLIENT_FORM_BYTES);
    buffer_init(&client->id, CLIENT_CREDENTIAL_BYTES);
    buffer_init(&client->secret, CLIENT_CREDENTIAL_BYTES);
    if (client_prepare(client, settings) == 0)
        return &client->grant;
    client_destroy(&client->grant);
    return NULL;
}
