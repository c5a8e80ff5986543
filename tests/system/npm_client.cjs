// node-hl7-client sends messages over mutual TLS, for tests/system/test-clients:
//   node npm_client.cjs HOST PORT CA CERTIFICATE KEY CONTROL-ID...
// Prints "MSA-1 MSA-2" for each answer, in order of arrival.
const fs = require('node:fs');
const { Client, Message } = require('node-hl7-client');

const [host, port, ca, certificate, key, ...ids] = process.argv.slice(2);
const client = new Client({
    host,
    tls: { ca: fs.readFileSync(ca), cert: fs.readFileSync(certificate), key: fs.readFileSync(key), servername: 'localhost' },
});
let left = ids.length;

const connection = client.createConnection({ port: Number(port), waitAck: true }, async (response) => {
    const message = response.getMessage();
    console.log(`${message.get('MSA.1').toString()} ${message.get('MSA.2').toString()}`);
    if (--left === 0) await connection.close();
});
connection.on('error', (error) => {
    console.error(error);
    process.exit(1);
});

async function send() {
    for (const id of ids) {
        const message = new Message({
            text: `MSH|^~\\&|NODE|STM|GW|EDGE|20260101120000||ADT^A01|${id}|P|2.5\rPID|1||77^^^STM||Muster^Erika`,
        });
        await connection.sendMessage(message);
    }
}
connection.on('connect', () => send());
