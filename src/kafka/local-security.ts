import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from './local-tools.ts'

/**
 * How clients reach a local broker.
 * - none: plain TCP, nobody is asked who they are.
 * - ssl_client_certificate: TLS where the client too needs a certificate of the authority. The broker's names
 *   `localhost` alone, so that 127.0.0.1 is another host.
 * - sasl_ssl: TLS with a certificate of an own authority; SCRAM-SHA-256, SCRAM-SHA-512, PLAIN, and OAUTHBEARER with
 *   unsigned tokens, which is Kafka's own stand-in for a token service.
 * - sasl_ssl_acl: the same, and `app` may do only what an access rule allows; `admin` may do everything.
 */
export type LocalSecurity = 'none' | 'ssl_client_certificate' | 'sasl_ssl' | 'sasl_ssl_acl'

/** What a client needs to get in. */
export interface LocalCredentials {
  /** The authority's certificate, PEM. */
  readonly caFile: string
  /** A server key and certificate chain of that authority for localhost and 127.0.0.1, PEM in one file. */
  readonly keystoreFile: string
  readonly users: { readonly admin: string; readonly app: string }
  /** A client's certificate of that authority, its key, and what the key is encrypted with. */
  readonly client: { readonly certFile: string; readonly keyFile: string; readonly keyPassword: string }
}

/** Makes an authority, certificates of it and passwords in `folder`. Needs openssl. */
export async function makeCredentials(folder: string, security: LocalSecurity): Promise<LocalCredentials> {
  await mkdir(folder, { recursive: true })
  const file = (name: string): string => join(folder, name)
  const openssl = (args: readonly string[]): Promise<string> =>
    runTool('openssl', args, 'making the local broker’s certificates with openssl')
  const newKey = ['-newkey', 'rsa:2048', '-sha256']
  const signed = async (name: string, subject: string, extension: string, keyOptions: readonly string[]) => {
    await openssl([
      ...['req', ...newKey, ...keyOptions, '-subj', subject],
      ...['-keyout', file(`${name}.key`), '-out', file(`${name}.csr`)],
    ])
    await writeFile(file(`${name}.ext`), `${extension}\n`)
    await openssl([
      ...['x509', '-req', '-in', file(`${name}.csr`), '-out', file(`${name}.pem`), '-days', '2', '-sha256'],
      ...['-CA', file('ca.pem'), '-CAkey', file('ca.key'), '-CAcreateserial'],
      ...['-extfile', file(`${name}.ext`)],
    ])
  }
  const password = (): string => randomBytes(12).toString('hex')

  await openssl([
    ...['req', '-x509', ...newKey, '-nodes', '-days', '2', '-subj', '/CN=labelstream local authority'],
    ...['-keyout', file('ca.key'), '-out', file('ca.pem')],
  ])
  const names = security === 'ssl_client_certificate' ? 'DNS:localhost' : 'DNS:localhost,IP:127.0.0.1'
  await signed('server', '/CN=localhost', `subjectAltName=${names}`, ['-nodes'])
  const keyPassword = password()
  const keyPasswordFile = file('client-key-password')
  await writeFile(keyPasswordFile, keyPassword, { mode: 0o600 })
  await signed('client', '/CN=app', 'extendedKeyUsage=clientAuth', ['-passout', `file:${keyPasswordFile}`])
  // Kafka reads a PEM keystore as the PKCS#8 key followed by the chain in one file
  const parts = await Promise.all(['server.key', 'server.pem', 'ca.pem'].map((name) => readFile(file(name))))
  await writeFile(file('keystore.pem'), Buffer.concat(parts), { mode: 0o600 })
  return {
    caFile: file('ca.pem'),
    keystoreFile: file('keystore.pem'),
    users: { admin: password(), app: password() },
    client: { certFile: file('client.pem'), keyFile: file('client.key'), keyPassword },
  }
}
