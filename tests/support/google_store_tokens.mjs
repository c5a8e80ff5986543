// The token endpoints and the metadata server of google_store.mjs (its head says what this is).
//
// Files that writeCredentials() makes, each for an account that has the role where nobody says otherwise:
//   service_account.json           a@project... with an RSA key of its own (another one: wrong_key.json)
//   authorized_user.json           a refresh token; token_uri (which Google's files lack) where the server has its own name
//   external_file.json external_file_json.json external_url.json external_url_json.json
//                                  workload identity federation: the subject token stands in subject.txt, subject.json,
//                                  or comes from /subject-text, /subject (header X-Subject: please)
//   external_impersonated.json     the same as external_file.json, then a service account's token
import crypto from 'node:crypto';
import fs from 'node:fs';
import path from 'node:path';
import { HttpError } from './google_store_messages.mjs';

const ACCOUNT = 'gateway@project.iam.gserviceaccount.com';
const IMPERSONATED = 'impersonated@project.iam.gserviceaccount.com';
const USER = {
    client_id: 'client.apps.googleusercontent.com', client_secret: 'secret of a client', refresh_token: '1//refresh',
};
const AUDIENCE = '//iam.googleapis.com/projects/123456/locations/global/workloadIdentityPools/pool/providers/provider';
const EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const SUBJECT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';
const ACCESS_TYPE = 'urn:ietf:params:oauth:token-type:access_token';
const PLATFORM = 'https://www.googleapis.com/auth/cloud-platform';
const HEALTHCARE = 'https://www.googleapis.com/auth/cloud-healthcare';
const METADATA = '/computeMetadata/v1/instance/service-accounts/default/token';
const FLAVOR = { 'metadata-flavor': 'Google' };

// RFC 6749 5.2's error instead of Google's.
class OauthError extends HttpError {
    constructor(error, description, status = 400) {
        super(status, description);
        this.answer = { error, error_description: `canary-token ${description}` };
    }

    body() {
        return this.answer;
    }
}

function want(condition, error, description, status) {
    if (!condition) throw new OauthError(error, description, status);
}

export class Tokens {
    constructor() {
        this.issued = new Map(); // token -> {account, scopes, end}
        this.keys = new Map(); // kid -> {account, key}
        this.subjects = ['subject-1'];
        this.lifetime = 3600;
        this.counts = { token: 0, sts: 0, impersonation: 0, metadata: 0, subject: 0 };
    }

    set({ lifetime, revoke, subjects }) {
        this.lifetime = lifetime ?? this.lifetime;
        this.subjects = subjects ?? this.subjects;
        if (revoke) this.issued.clear();
    }

    issue(account, scopes) {
        const token = `ya29.${crypto.randomBytes(24).toString('base64url')}`;
        this.issued.set(token, { account, scopes, end: Date.now() + this.lifetime * 1000 });
        return { access_token: token, expires_in: this.lifetime, token_type: 'Bearer' };
    }

    find(authorization) {
        const found = this.issued.get(/^Bearer (.+)$/.exec(authorization ?? '')?.[1]);
        if (!found || found.end <= Date.now())
            throw new HttpError(401, 'invalid authentication credentials',
                { headers: { 'www-authenticate': 'Bearer realm="https://accounts.google.com/"' } });
        return found;
    }

    accountOf(authorization) {
        return this.find(authorization).account;
    }

    mayUseHealthcare(authorization) {
        return this.find(authorization).scopes.some((scope) => scope === HEALTHCARE || scope === PLATFORM);
    }

    // --- endpoints ---

    target(request, url) {
        const own = (name, answer, headers) => ({
            name, headers,
            error: (status, word) => (name === 'metadata' || name === 'impersonation'
                ? new HttpError(status, `error ${status}`, { word })
                : new OauthError(word ?? (status < 500 ? 'invalid_grant' : 'internal_failure'), `error ${status}`, status)),
            answer: (word) => {
                if (word === 'no-token') return {};
                if (word !== 'ok') throw new HttpError(501, `unknown step ${word}`);
                this.counts[name]++;
                return answer();
            },
        });
        const impersonated = /^\/v1\/projects\/-\/serviceAccounts\/([^/:]+):generateAccessToken$/.exec(url.pathname);
        switch (`${request.method} ${url.pathname}`) {
            case 'POST /token': return own('token', () => this.grant(request, url));
            case 'POST /v1/token': return own('sts', () => this.exchange(request));
            case 'GET /subject': return own('subject', () => ({ id_token: this.subject(request) }));
            case 'GET /subject-text': return own('subject', () => this.subject(request));
            case `GET ${METADATA}`: return own('metadata', () => this.metadata(request, url), FLAVOR);
            case 'GET /': case 'GET /computeMetadata/v1/instance': return own('metadata', () => ({}), FLAVOR);
            default:
        }
        return impersonated && request.method === 'POST'
            ? own('impersonation', () => this.impersonate(request, impersonated[1])) : null;
    }

    form(request) {
        const type = request.headers['content-type'] ?? '';
        want(/^application\/x-www-form-urlencoded\b/.test(type), 'invalid_request', 'no form');
        return new URLSearchParams(request.received.toString('utf8'));
    }

    grant(request) {
        const form = this.form(request);
        if (form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer')
            return this.assertion(form.get('assertion') ?? '');
        want(form.get('grant_type') === 'refresh_token', 'unsupported_grant_type', 'Invalid grant_type');
        want(form.get('client_id') === USER.client_id && form.get('client_secret') === USER.client_secret, 'invalid_client',
            'The OAuth client was not found.', 401);
        want(form.get('refresh_token') === USER.refresh_token, 'invalid_grant', 'Token has been expired or revoked.');
        return { ...this.issue('user@example.com', [PLATFORM]), scope: PLATFORM };
    }

    // RFC 7523 as Google wants it: RS256, aud = this endpoint, an hour at most. (typ and kid may be absent: Google's own
    // Node library leaves them out.)
    assertion(jwt) {
        const [head, claims, signature, more] = jwt.split('.');
        const decode = (part) => {
            try {
                return JSON.parse(Buffer.from(part ?? '', 'base64url'));
            } catch {
                throw new OauthError('invalid_grant', 'Bad JWT');
            }
        };
        const header = decode(head);
        const claim = decode(claims);
        const known = header.kid === undefined
            ? [...this.keys.values()].find((key) => key.account === claim.iss) : this.keys.get(header.kid);
        const now = Date.now() / 1000;
        want(more === undefined && !/[=+/]/.test(jwt), 'invalid_grant', 'Bad JWT: not base64url');
        want(header.alg === 'RS256' && (header.typ ?? 'JWT') === 'JWT', 'invalid_grant', 'Invalid JWT: alg or typ');
        want(known && known.account === claim.iss, 'invalid_grant', 'Invalid JWT: unknown key or account');
        want(crypto.verify('RSA-SHA256', Buffer.from(`${head}.${claims}`), known.key, Buffer.from(signature, 'base64url')),
            'invalid_grant', 'Invalid JWT Signature.');
        want(claim.aud === this.urls.token, 'invalid_grant', 'Invalid JWT: aud');
        want(Number.isInteger(claim.iat) && Number.isInteger(claim.exp) && claim.iat <= now + 300 && claim.exp > now &&
            claim.exp - claim.iat <= 3600, 'invalid_grant', 'Invalid JWT: must be a short-lived token');
        want(claim.sub === undefined || claim.sub === claim.iss, 'unauthorized_client', 'no delegation');
        want(claim.scope, 'invalid_scope', 'Invalid OAuth scope or ID token audience provided.');
        return this.issue(claim.iss, claim.scope.split(' '));
    }

    // RFC 8693
    exchange(request) {
        const form = this.form(request);
        want(form.get('grant_type') === EXCHANGE, 'unsupported_grant_type', 'grant_type');
        want(form.get('audience') === AUDIENCE, 'invalid_target', 'The target service of the audience is invalid.');
        want(form.get('requested_token_type') === ACCESS_TYPE, 'invalid_request', 'requested_token_type');
        want(form.get('subject_token_type') === SUBJECT_TYPE, 'invalid_request', 'subject_token_type');
        want(this.subjects.includes(form.get('subject_token')), 'invalid_grant', 'ID Token is stale or unknown.');
        want(form.get('scope'), 'invalid_scope', 'scope');
        return { ...this.issue('principal://subject', form.get('scope').split(' ')), issued_token_type: ACCESS_TYPE };
    }

    impersonate(request, account) {
        const caller = this.find(request.headers.authorization);
        if (!caller.scopes.includes(PLATFORM)) throw new HttpError(403, 'insufficient authentication scopes');
        if (account !== IMPERSONATED) throw new HttpError(404, 'no such account');
        let body;
        try {
            body = JSON.parse(request.received);
        } catch {
            throw new HttpError(400, 'Invalid JSON payload received.');
        }
        if (!Array.isArray(body.scope) || !body.scope.length || !/^\d+s$/.test(body.lifetime ?? '3600s'))
            throw new HttpError(400, 'scope or lifetime');
        const { access_token: accessToken } = this.issue(account, body.scope);
        return { accessToken, expireTime: new Date(Date.now() + this.lifetime * 1000).toISOString().replace(/\.\d+/, '') };
    }

    metadata(request, url) {
        if (request.headers['metadata-flavor'] !== 'Google') throw new HttpError(403, 'missing Metadata-Flavor header');
        const scopes = url.searchParams.get('scopes');
        return this.issue('123456-compute@developer.gserviceaccount.com', scopes ? scopes.split(',') : [PLATFORM]);
    }

    // The endpoint of whoever vouches for the workload.
    subject(request) {
        want(request.headers['x-subject'] === 'please', 'invalid_request', 'no X-Subject', 403);
        return this.subjects[0];
    }

    // --- files ---

    // own: this server's URL; null: Google's names, for clients that come through the proxy.
    writeCredentials(directory, own) {
        const google = (host) => own ?? `https://${host}.googleapis.com`;
        this.urls = {
            token: `${google('oauth2')}/token`, sts: `${google('sts')}/v1/token`, subject: google('subject'),
            impersonation: `${google('iamcredentials')}/v1/projects/-/serviceAccounts/${IMPERSONATED}:generateAccessToken`,
        };
        const file = (name) => path.join(path.resolve(directory), name);
        const write = (name, value) => fs.writeFileSync(file(name),
            typeof value === 'string' ? value : JSON.stringify(value, null, 2), { mode: 0o600 });
        const format = { type: 'json', subject_token_field_name: 'id_token' };
        const headers = { 'X-Subject': 'please' };
        write('service_account.json', this.serviceAccount(true));
        write('wrong_key.json', this.serviceAccount(false));
        write('authorized_user.json',
            { type: 'authorized_user', ...USER, quota_project_id: 'project', token_uri: own ? this.urls.token : undefined });
        write('subject.txt', this.subjects[0]);
        write('subject.json', { id_token: this.subjects[0] });
        write('external_file.json', this.external({ file: file('subject.txt') }));
        write('external_file_json.json', this.external({ file: file('subject.json'), format }));
        write('external_url.json', this.external({ url: `${this.urls.subject}/subject-text`, headers }));
        write('external_url_json.json', this.external({ url: `${this.urls.subject}/subject`, headers, format }));
        write('external_impersonated.json', this.external({ file: file('subject.txt') },
            { service_account_impersonation_url: this.urls.impersonation }));
    }

    external(source, more) {
        return {
            type: 'external_account', audience: AUDIENCE, subject_token_type: SUBJECT_TYPE, token_url: this.urls.sts,
            universe_domain: 'googleapis.com', credential_source: source, ...more,
        };
    }

    serviceAccount(known) {
        const { publicKey, privateKey } = crypto.generateKeyPairSync('rsa', { modulusLength: 2048 });
        const kid = crypto.randomBytes(20).toString('hex');
        if (known) this.keys.set(kid, { account: ACCOUNT, key: publicKey });
        return {
            type: 'service_account', project_id: 'project', private_key_id: known ? kid : [...this.keys.keys()][0],
            private_key: privateKey.export({ type: 'pkcs8', format: 'pem' }), client_email: ACCOUNT,
            client_id: '1234567890', auth_uri: 'https://accounts.google.com/o/oauth2/auth', token_uri: this.urls.token,
            universe_domain: 'googleapis.com',
        };
    }
}
