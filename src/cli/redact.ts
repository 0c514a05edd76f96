/** Secrets stay out of whatever leaves the process as text: logs, messages, results. */

const SECRET_NAME = /(KEY|TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS)S?$/i;
/** Shorter values are no secrets, and would blot out half of the text. */
const SECRET_CHARS_MIN = 8;

const secrets = Object.entries(process.env)
  .filter(([name, value]) => SECRET_NAME.test(name) && (value ?? '').trim().length >= SECRET_CHARS_MIN)
  .map(([, value]) => value!.trim())
  .sort((a, b) => b.length - a.length);

/** The text without the values of secret environment variables, and without passwords in addresses. */
export const redact = (text: string): string => {
  const shown = secrets.reduce((left, secret) => left.replaceAll(secret, '[redacted]'), text);
  return shown.replaceAll(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s"']*@/gi, '$1[redacted]@').replaceAll(CONTROL, '');
};

/** What a terminal would obey: documents and models may not move its cursor or set its title. */
// oxlint-disable-next-line no-control-regex
const CONTROL = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]/g;

/** In one line, whatever is in it: a name of a file may have line breaks. */
export const oneLine = (text: string): string => text.replaceAll(/\r\n|[\n\r\u2028\u2029]/g, ' ');

/** A value as JSON, its texts without secrets: cut out of the finished text, they would take its quotes along. */
export const safeJson = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) => (typeof inner === 'string' ? redact(inner) : typeof inner === 'bigint' ? inner.toString() : inner));
