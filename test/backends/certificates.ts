import { generateKeyPairSync, type KeyObject, sign } from 'node:crypto';

/** DER (X.690 §8.1): tag, length, content. */
const der = (tag: number, ...parts: readonly Uint8Array[]): Buffer => {
  const content = Buffer.concat(parts);
  const { length } = content;
  const size = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255];
  return Buffer.concat([Buffer.from([tag, ...size]), content]);
};
const hex = (text: string): Buffer => Buffer.from(text, 'hex');
const ECDSA_SHA256 = der(0x30, hex('06082a8648ce3d040302'));
const nameOf = (common: string): Buffer => der(0x30, der(0x31, der(0x30, hex('0603550403'), der(0x0c, Buffer.from(common)))));
const time = (text: string): Buffer => der(0x17, Buffer.from(text));
const pem = (bytes: Uint8Array): string => `-----BEGIN CERTIFICATE-----\n${(Buffer.from(bytes).toString('base64').match(/.{1,64}/g) ?? []).join('\n')}\n-----END CERTIFICATE-----\n`;

export interface Certificate { readonly cert: string; readonly key: string; readonly signing: KeyObject; readonly name: string }

/** An X.509 certificate (RFC 5280 §4.1) for `name` and 127.0.0.1, signed by `by`, or by itself. */
export function certificate(name: string, by?: Certificate): Certificate {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const alternative = der(0x30, hex('0603551d11'), der(0x04, der(0x30, der(0x87, Buffer.from([127, 0, 0, 1])))));
  const authority = der(0x30, hex('0603551d13'), hex('0101ff'), der(0x04, der(0x30, hex('0101ff'))));
  const body = der(0x30, der(0xa0, hex('020102')), der(0x02, Buffer.from([1 + Math.floor(Math.random() * 100)])), ECDSA_SHA256, nameOf(by?.name ?? name), der(0x30, time('200101000000Z'), time('491231235959Z')), nameOf(name),
    publicKey.export({ type: 'spki', format: 'der' }), der(0xa3, der(0x30, ...(by ? [alternative] : [alternative, authority]))));
  const signature = sign('sha256', body, by?.signing ?? privateKey);
  return { cert: pem(der(0x30, body, ECDSA_SHA256, der(0x03, Buffer.from([0]), signature))), key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), signing: privateKey, name };
}
