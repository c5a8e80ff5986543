// The HL7v2 stores of google_store.mjs (its head says what this is): ingest, create and get of messages, get of a store.
import crypto from 'node:crypto';

const PARENT = 'projects/project/locations/europe-west6/datasets/dataset/hl7V2Stores/';
const RESOURCE = /^\/(v1|v1beta1)\/(projects\/[^/]+\/locations\/[^/]+\/datasets\/[^/]+\/hl7V2Stores\/[^/:]+)(.*)$/;
const DETAIL = 'type.googleapis.com/google.cloud.healthcare.v1.hl7v2.IngestMessageErrorDetail';
const INFO = 'type.googleapis.com/google.rpc.ErrorInfo';
const WORDS = {
    400: 'INVALID_ARGUMENT', 401: 'UNAUTHENTICATED', 403: 'PERMISSION_DENIED', 404: 'NOT_FOUND', 408: 'DEADLINE_EXCEEDED',
    409: 'ALREADY_EXISTS', 412: 'FAILED_PRECONDITION', 413: 'OUT_OF_RANGE', 429: 'RESOURCE_EXHAUSTED', 499: 'CANCELLED',
    500: 'INTERNAL', 501: 'UNIMPLEMENTED', 503: 'UNAVAILABLE', 504: 'DEADLINE_EXCEEDED',
};

// Google's error: details only in version 2 of the format, of which an hl7Nack is one.
export class HttpError extends Error {
    constructor(status, text, { word, nack, headers } = {}) {
        super(`canary-google ${text}`);
        Object.assign(this, { status, word: word ?? WORDS[status] ?? 'UNKNOWN', nack, headers });
    }

    body(requestHeaders) {
        const error = { code: this.status, message: this.message, status: this.word };
        const details = [{ '@type': INFO, reason: this.word, domain: 'canary-domain', metadata: {} }];
        if (this.nack) details.push({ '@type': DETAIL, hl7Nack: this.nack });
        if (requestHeaders['x-goog-api-format-version'] === '2') error.details = details;
        return { error };
    }
}

const base64Of = (text) => Buffer.from(text, 'utf8').toString('base64');

function strictBase64(text) {
    const data = Buffer.from(String(text), 'base64');
    return data.toString('base64') === text ? data : null;
}

// --- HL7 ---

function headerOf(data) {
    const fields = data.toString('utf8').split('\r')[0].split(data.toString('utf8')[3]);
    return { application: fields[2] ?? '', facility: fields[3] ?? '', toApplication: fields[4] ?? '',
        toFacility: fields[5] ?? '', type: fields[8] ?? '', id: fields[9] ?? '', processing: fields[10] ?? 'P',
        version: fields[11] ?? '2.5' };
}

// Sender and receiver change places, MSH-7 and MSH-10 are new, no CR at the end.
function acknowledgment(data, code, id) {
    const to = headerOf(data);
    const time = new Date().toISOString().replace(/[-:T]|\..*/g, '');
    const own = crypto.randomBytes(8).toString('hex');
    let text = `MSH|^~\\&|${to.toApplication}|${to.toFacility}|${to.application}|${to.facility}|${time}||ACK|${own}|` +
        `${to.processing}|${to.version}\rMSA|${code}|${id ?? to.id}`;
    if (code[1] !== 'A') text += '|canary-nack\rERR|||207^canary-nack|E||||canary-nack';
    return Buffer.from(text, 'utf8');
}

// Why the store would not have these bytes, or null.
function fault(data) {
    try {
        new TextDecoder('utf-8', { fatal: true }).decode(data);
    } catch {
        return 'the message is not valid UTF-8';
    }
    const segments = data.toString('utf8').replace(/\r$/, '').split('\r');
    if (data.includes('\n')) return 'segments must be separated by CR';
    if (!segments.every((segment) => /^[A-Z][A-Z0-9]{2}/.test(segment))) return 'invalid segment';
    return headerOf(data).type === '' ? 'MSH-9 is missing' : null;
}

function checkLabels(labels) {
    const entries = Object.entries(labels);
    if (entries.length > 64) throw new HttpError(400, 'too many labels');
    for (const [key, value] of entries)
        if (!/^[\p{Ll}\p{Lo}][\p{Ll}\p{Lo}\p{N}_-]{0,62}$/u.test(key) || !/^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u.test(value))
            throw new HttpError(400, 'invalid label');
}

function checkNames(object, allowed, where) {
    for (const name of Object.keys(object))
        if (!allowed.includes(name))
            throw new HttpError(400, `Invalid JSON payload received. Unknown name "${name}" at '${where}'`);
}

// --- the stores ---

export class Stores {
    constructor(tokens) {
        this.tokens = tokens;
        this.stores = new Map(); // full name -> {rejectDuplicateMessage, members, messages: digest -> message}
    }

    add(name, { rejectDuplicateMessage = false, members = null }) {
        const full = name.includes('/') ? name : PARENT + name;
        const known = this.stores.get(full);
        this.stores.set(full, { rejectDuplicateMessage, members, messages: known?.messages ?? new Map() });
        return full;
    }

    list() {
        return Object.fromEntries([...this.stores].map(([name, store]) => [name, [...store.messages.values()].map(
            (m) => ({ name: m.name, data: m.data.toString('base64'), labels: m.labels, requests: m.requests,
                ack: headerOf(m.ack).id }))]));
    }

    target(request, url) {
        const [, , name, rest] = RESOURCE.exec(url.pathname.replaceAll(/%3D/gi, '=')) ?? [];
        if (name === undefined) return null;
        const method = this.method(request.method, rest, name, url);
        if (!method) return null;
        const asked = { store: name, ingest: rest === '/messages:ingest', ...this.dataOf(request) };
        return {
            name, data: asked.data,
            error: (status, word) => new HttpError(status, `error ${status} of ${name}`, { word, headers:
                status === 401 ? { 'www-authenticate': 'Bearer realm="https://accounts.google.com/"' } : {} }),
            take: () => this.put(this.permitted(request, name), asked),
            answer: (word, argument) => method(this.permitted(request, name), asked, word, argument),
        };
    }

    method(verb, rest, name, url) {
        if (verb === 'POST' && rest === '/messages:ingest') return (...about) => this.ingest(...about);
        if (verb === 'POST' && rest === '/messages')
            return (store, asked) => this.resource(this.put(store, asked), 'RAW_ONLY');
        if (verb === 'GET' && /^\/messages\/[^/]+$/.test(rest))
            return (store) => this.resource(this.find(store, name + rest), url.searchParams.get('view'));
        if (verb === 'GET' && rest === '')
            return (store) => ({ name, parserConfig: { version: 'V3' },
                ...(store.rejectDuplicateMessage ? { rejectDuplicateMessage: true } : {}) });
        return null;
    }

    // Authentication comes before authorization, and that before whether the store is there.
    permitted(request, name) {
        const account = this.tokens.accountOf(request.headers.authorization);
        const project = request.headers['x-goog-user-project'];
        const store = this.stores.get(name);
        if (!this.tokens.mayUseHealthcare(request.headers.authorization))
            throw new HttpError(403, 'insufficient authentication scopes');
        if (project !== undefined && !this.projects().has(project))
            throw new HttpError(403, `no right to use the project ${project}`);
        if (!this.projects().has(name.split('/')[1])) throw new HttpError(403, `no such project for ${account}`);
        if (!store) throw new HttpError(404, `${name} does not exist`);
        if (store.members && !store.members.includes(account))
            throw new HttpError(403, `${account} has no permission on ${name}`);
        return store;
    }

    projects() {
        return new Set([...this.stores.keys()].map((name) => name.split('/')[1]));
    }

    // {data, labels} of a request's body, or {bad: what is wrong}.
    dataOf(request) {
        if (request.method !== 'POST') return {};
        try {
            if (!/^application\/json\b/.test(request.headers['content-type'] ?? '')) throw new HttpError(400, 'not JSON');
            const body = JSON.parse(request.received);
            checkNames(body, ['message'], '');
            checkNames(body.message ?? {}, ['name', 'data', 'labels'], 'message');
            checkLabels(body.message?.labels ?? {});
            const data = strictBase64(body.message?.data ?? '');
            if (!data) throw new HttpError(400, 'Base64 decoding failed');
            if (data.length === 0) throw new HttpError(400, 'the message is empty');
            return { data, labels: body.message.labels ?? {} };
        } catch (error) {
            return { bad: error instanceof HttpError ? error : new HttpError(400, 'Invalid JSON payload received.') };
        }
    }

    nackFor(asked, code = 'AE', id = undefined) {
        return asked.ingest && asked.data?.subarray(0, 3).equals(Buffer.from('MSH'))
            ? acknowledgment(asked.data, code, id).toString('base64') : undefined;
    }

    // The same bytes again are the same message, or ALREADY_EXISTS where the store rejects duplicates.
    put(store, asked) {
        if (asked.bad) throw asked.bad;
        const why = asked.data.subarray(0, 3).equals(Buffer.from('MSH')) ? fault(asked.data) : 'the message has no MSH';
        if (why) throw new HttpError(400, why, { nack: this.nackFor(asked) });
        const digest = crypto.createHash('sha256').update(asked.data).digest('base64url');
        const known = store.messages.get(digest);
        if (known && store.rejectDuplicateMessage) {
            known.requests++;
            throw new HttpError(409, 'the message already exists', { nack: this.nackFor(asked) });
        }
        const message = known ?? { name: `${asked.store}/messages/${digest}=`, data: asked.data, labels: asked.labels,
            created: new Date().toISOString(), ack: acknowledgment(asked.data, 'AA'), requests: 0 };
        message.requests++;
        store.messages.set(digest, message);
        return message;
    }

    find(store, name) {
        const found = [...store.messages.values()].find((m) => m.name === name);
        if (!found) throw new HttpError(404, `${name} does not exist`);
        return found;
    }

    resource(message, view) {
        const header = headerOf(message.data);
        return {
            name: message.name, data: message.data.toString('base64'),
            ...(view === 'RAW_ONLY' ? {} : { createTime: message.created, messageType: header.type.split('^')[0],
                sendFacility: header.facility, labels: message.labels }),
        };
    }

    ingest(store, asked, word, argument) {
        if (word === 'nack' || word === 'foreign-nack' || word === 'broken-nack') return this.refuse(asked, word, argument);
        if (word === 'nack-first')
            return { hl7Ack: this.nackFor(asked), message: { name: `${asked.store}/messages/none` } };
        const message = this.put(store, asked);
        const answer = { hl7Ack: message.ack.toString('base64'), message: this.resource(message, 'FULL') };
        delete answer.message.data;
        switch (word) {
            case 'ok': break;
            case 'no-ack': delete answer.hl7Ack; break;
            case 'empty-ack': answer.hl7Ack = ''; break;
            case 'foreign': answer.hl7Ack = acknowledgment(asked.data, 'AA', 'NOT-YOURS').toString('base64'); break;
            case 'framed': answer.hl7Ack = base64Of(`\x0b${message.ack.toString('utf8')}\x1c\r`); break;
            case 'cut': answer.hl7Ack = base64Of(`${message.ack.toString('utf8')}|a\x1c\rb\x0bc`); break;
            case 'broken-base64': answer.hl7Ack = `${answer.hl7Ack.slice(0, 10)}*${answer.hl7Ack.slice(11)}`; break;
            case 'not-hl7': answer.hl7Ack = base64Of('\0\x01 nothing of the kind'); break;
            default: throw new HttpError(501, `unknown step ${word}`);
        }
        return answer;
    }

    refuse(asked, word, argument = '') {
        const [code, status] = argument.split(':');
        const nack = { 'broken-nack': 'TVNI*', 'foreign-nack': this.nackFor(asked, 'AE', 'NOT-YOURS') }[word]
            ?? this.nackFor(asked, code || 'AE');
        throw new HttpError(Number(status || 400), 'the message was refused', { nack });
    }
}
