/**
 * Why there is no connection, in the words of our keys: TLS, Node and OpenSSL say it in words about themselves ("try running
 * Node.js with --use-system-ca"), or in none (`ECONNRESET`). The one place for whoever sends, and whoever checks before.
 */
import type { PeerCertificate } from 'node:tls'
import { messageOf } from '../core/errors.ts'
import { shownText } from './shown-text.ts'

/** What is wrong, and what to do about it where that is known. */
export interface ConnectTrouble {
  readonly text: string
  readonly hint?: string
}

const trustIt =
  'set `tls.ca_file` to the certificates of its authority, or `tls.include_system_ca_certs_pool: true` where the system trusts it'
const renewIt = 'renew it at the server; until then nothing is sent'

/** What is wrong with the certificate of a server, by the codes of OpenSSL. */
const ofCertificate: Readonly<Record<string, ConnectTrouble>> = {
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: {
    text: "the server's certificate is of an authority that is not trusted here, or what stands between the two is not sent",
    hint: trustIt,
  },
  UNABLE_TO_GET_ISSUER_CERT: {
    text: "an authority of the server's certificate is not trusted here",
    hint: trustIt,
  },
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: {
    text: "the server's certificate is of an authority that is not trusted here",
    hint: trustIt,
  },
  SELF_SIGNED_CERT_IN_CHAIN: {
    text: "the authority of the server's certificate is not trusted here",
    hint: trustIt,
  },
  DEPTH_ZERO_SELF_SIGNED_CERT: {
    text: "the server's certificate is signed by itself and not trusted here",
    hint: 'set `tls.ca_file` to that certificate',
  },
  CERT_HAS_EXPIRED: { text: "the server's certificate, or that of its authority, has expired", hint: renewIt },
  CERT_NOT_YET_VALID: {
    text: "the server's certificate, or that of its authority, is not valid yet",
    hint: 'is the clock of this machine right?',
  },
}

const wrongName = 'ERR_TLS_CERT_ALTNAME_INVALID'

/** The trouble that a code of a check of certificates stands for; undefined for other codes. */
export function certificateTrouble(
  code: string,
  host: string | undefined,
  certificate: Pick<PeerCertificate, 'subjectaltname' | 'subject'> | undefined,
): ConnectTrouble | undefined {
  if (code !== wrongName) return ofCertificate[code]
  const names = namesOf(certificate)
  const wanted = host === undefined ? 'the name that was asked for' : `\`${shownText(host)}\``
  if (names.length === 0) {
    const only = `only \`${shownText(String(certificate?.subject?.CN ?? ''))}\` as what it is of`
    const hint = 'have it made anew with names (subjectAltName); `tls.server_name_override` only helps where it has one'
    return { text: `the server's certificate is not for ${wanted}: it has no names, ${only}`, hint }
  }
  const hint = 'write one of them in the endpoint, or set `tls.server_name_override` to it if this is the right server'
  return { text: `the server's certificate is not for ${wanted}: it is for ${names.join(', ')}`, hint }
}

/** Names of a certificate that are told. */
const mostNames = 8

/** What a certificate is for, as it is shown: the server wrote it. */
export function namesOf(certificate: Pick<PeerCertificate, 'subjectaltname'> | undefined): string[] {
  const names = (certificate?.subjectaltname ?? '')
    .split(', ')
    .flatMap(entry => /^(?:DNS|IP Address):(.+)$/.exec(entry)?.[1] ?? [])
  const shown = names.slice(0, mostNames).map(shownText)
  return names.length > mostNames ? [...shown, `${names.length - mostNames} more`] : shown
}

/** What no error of a server that is there looks like: it ended the connection, or answered what cannot be read. */
const cutOff = new Set(['ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET'])

/** Whether the server has ended the connection without a word. */
export const isCutOff = (error: unknown): boolean => cutOff.has(codeOf(error))

/** Whether what the server said is no HTTP/1.1. */
export const isOtherProtocol = (error: unknown): boolean => error instanceof Error && error.name === 'HTTPParserError'

/** The code of an error of Node; '' without one. */
export const codeOf = (error: unknown): string =>
  error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : ''

/** What Node's error of a wrong name has besides. */
interface OfName {
  readonly host?: string
  readonly cert?: PeerCertificate
}

/** Why a connection could not be made; of several addresses tried in turn, all. `secure`: it was to be one with TLS. */
export function connectTrouble(error: unknown, secure: boolean): ConnectTrouble {
  if (error instanceof AggregateError && error.errors.length > 0) {
    return { text: [...new Set(error.errors.map(messageOf))].join('; ') }
  }
  const message = messageOf(error)
  if (!secure) return { text: message }
  if (/wrong version number|packet length too long/i.test(message)) {
    return { text: 'the server does not speak TLS on this port' }
  }
  const code = codeOf(error)
  const { host, cert } = (error instanceof Error ? error : {}) as OfName
  const known = certificateTrouble(code, host, cert)
  if (known !== undefined) return known
  // What an established connection ends with says nothing about TLS.
  if (/before secure TLS connection/i.test(message)) {
    const text = 'the server ended the connection before TLS was agreed on'
    return { text, hint: 'does this port want TLS, and this name (`tls.server_name_override`)?' }
  }
  if (!(error instanceof Error && 'reason' in error && typeof error.reason === 'string')) return { text: message }
  // OpenSSL's texts are mostly about its own source.
  const needsOwn = error.reason.includes('certificate required')
  return { text: `TLS: ${error.reason}`, ...(needsOwn && { hint: 'set `tls.cert_file` and `tls.key_file`' }) }
}

/** A trouble in one line. */
export const troubleText = ({ text, hint }: ConnectTrouble): string => (hint === undefined ? text : `${text}; ${hint}`)
