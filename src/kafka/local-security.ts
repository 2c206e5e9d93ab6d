import { randomBytes } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { runTool } from './local-tools.ts'

/**
 * How clients reach a local broker.
 * - none: plain TCP, nobody is asked who they are.
 * - sasl_ssl: TLS with a certificate of an own authority; SCRAM-SHA-256, SCRAM-SHA-512 and PLAIN.
 * - sasl_ssl_acl: the same, and `app` may do only what an access rule allows; `admin` may do everything.
 */
export type LocalSecurity = 'none' | 'sasl_ssl' | 'sasl_ssl_acl'

/** What a client needs to get in. */
export interface LocalCredentials {
  /** The authority's certificate, PEM. */
  readonly caFile: string
  /** A server key and certificate chain of that authority for localhost and 127.0.0.1, PEM in one file. */
  readonly keystoreFile: string
  readonly users: { readonly admin: string; readonly app: string }
}

/** Makes an authority, a server certificate and two passwords in `folder`. Needs openssl. */
export async function makeCredentials(folder: string): Promise<LocalCredentials> {
  await mkdir(folder, { recursive: true })
  const file = (name: string): string => join(folder, name)
  const openssl = (args: readonly string[]): Promise<string> =>
    runTool('openssl', args, 'making the local broker’s certificates with openssl')
  const newKey = ['-newkey', 'rsa:2048', '-nodes', '-sha256']

  await openssl([
    ...['req', '-x509', ...newKey, '-days', '2', '-subj', '/CN=labelstream local authority'],
    ...['-keyout', file('ca.key'), '-out', file('ca.pem')],
  ])
  await openssl([
    ...['req', ...newKey, '-subj', '/CN=localhost'],
    ...['-keyout', file('server.key'), '-out', file('server.csr')],
  ])
  await writeFile(file('server.ext'), 'subjectAltName=DNS:localhost,IP:127.0.0.1\n')
  await openssl([
    ...['x509', '-req', '-in', file('server.csr'), '-CA', file('ca.pem'), '-CAkey', file('ca.key')],
    ...[
      '-CAcreateserial',
      '-days',
      '2',
      '-sha256',
      '-extfile',
      file('server.ext'),
      '-out',
      file('server.pem'),
    ],
  ])
  // Kafka reads a PEM keystore as the PKCS#8 key followed by the chain in one file
  const parts = await Promise.all(['server.key', 'server.pem', 'ca.pem'].map((name) => readFile(file(name))))
  await writeFile(file('keystore.pem'), Buffer.concat(parts), { mode: 0o600 })
  const password = (): string => randomBytes(12).toString('hex')
  return {
    caFile: file('ca.pem'),
    keystoreFile: file('keystore.pem'),
    users: { admin: password(), app: password() },
  }
}
