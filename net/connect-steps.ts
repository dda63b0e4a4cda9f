/** DNS, TCP and TLS towards a destination, one by one, with the options that its client connects with. */
import { lookup } from 'node:dns/promises'
import net from 'node:net'
import type { ConnectionOptions, DetailedPeerCertificate, TLSSocket } from 'node:tls'
import type { Cancellable, Cancellation } from '../core/cancellation.ts'
import { CheckFailure, type CheckSteps, type CheckFinding } from '../core/check.ts'
import { messageOf } from '../core/errors.ts'
import { certificateTrouble, codeOf, connectTrouble, namesOf } from './connect-trouble.ts'
import { connectSocket } from './connect.ts'
import { type Address, addressText } from './grpc-target.ts'
import { nodeTls } from './on-demand.ts'
import { shownText } from './shown-text.ts'
import type { TlsClientConfig } from './tls.ts'

/** Where a client connects to, and how. */
export interface ConnectPlace {
  readonly to: { readonly host: string; readonly port: number } | { readonly path: string }
  /** Undefined: without TLS, or with one that a proxy stands before. */
  readonly tls:
    | {
        /** Makes the options as for each connection. @throws Error naming the file that cannot be read */
        readonly options: () => ConnectionOptions
        readonly keys: TlsClientConfig
        /** The name that is asked for, unless the options have one. */
        readonly serverName: string
        /** What to write where the server speaks no TLS. */
        readonly plainHint: string
      }
    | undefined
  readonly protocol: 'h2' | 'http/1.1'
}

/** Addresses that are tried; names may stand for hundreds. */
const mostAddresses = 16
/** Days before the end of a certificate from which on it is told. */
const fewDays = 14
const day = 86_400_000

/** Takes the steps, and says whether a request can be tried. */
export async function connectSteps({ to, tls, protocol }: ConnectPlace, steps: CheckSteps): Promise<boolean> {
  let addresses: readonly Address[] = [to]
  if ('host' in to && net.isIP(to.host) === 0) {
    const { host, port } = to
    const found = await steps.take('dns', () => resolved(host, port))
    if (found === undefined) return false
    addresses = found.addresses
  }
  const reached = await steps.take('tcp', cancellation => connected(addresses, cancellation))
  if (reached === undefined) return false
  if (tls === undefined) return true
  return (await steps.take('tls', cancellation => greeted(reached.address, tls, protocol, cancellation))) !== undefined
}

async function resolved(
  host: string,
  port: number,
): Promise<CheckFinding & { readonly addresses: readonly Address[] }> {
  try {
    const found = await lookup(host, { all: true })
    const all = [...new Set(found.map(({ address }) => address))]
    const shown = all.slice(0, mostAddresses)
    const more = all.length > shown.length ? `, and ${all.length - shown.length} more` : ''
    return {
      text: `${shown.join(', ')}${more}`,
      facts: { addresses: shown },
      addresses: shown.map(address => ({ host: address, port })),
    }
  } catch (error) {
    const code = codeOf(error)
    const isName = code === 'ENOTFOUND' || code === 'ENODATA'
    const what = isName ? `the name \`${host}\` has no address here` : `\`${host}\` cannot be looked up`
    const hint = isName
      ? 'is `endpoint` spelt right, and known where this runs (namespace, search domains)?'
      : 'does the DNS server of this machine answer?'
    throw new CheckFailure(`${what} (${messageOf(error)})`, hint)
  }
}

/** Tries all of them: a client goes on to the next, or uses all. */
async function connected(
  addresses: readonly Address[],
  cancellation: Cancellation,
): Promise<CheckFinding & { readonly address: Address }> {
  const tried = await Promise.all(
    addresses.map(async address => {
      try {
        const socket = await opened(connectSocket(address, undefined, 'http/1.1'), 'connect', cancellation)
        socket.destroy()
        return { address, error: undefined }
      } catch (error) {
        return { address, error: whyNot(error) }
      }
    }),
  )
  const first = tried.find(({ error }) => error === undefined)
  const failed = tried.flatMap(({ address, error }) =>
    error === undefined ? [] : [`${addressText(address)}: ${error}`],
  )
  if (first === undefined) {
    throw new CheckFailure(
      failed.join('; '),
      'does it run and listen there, and does no firewall or policy stand between?',
    )
  }
  const text = addressText(first.address)
  const facts = { address: text, ...(failed.length > 0 && { unreachable: failed }) }
  if (failed.length === 0) return { text, facts, address: first.address }
  // Both families of this machine stand behind one name, and few listen on both.
  const isWarning = failed.some(one => !/^(?:\[::1\]|127\.)/.test(one))
  return { text: `${text} (but not ${failed.join('; ')})`, isWarning, facts, address: first.address }
}

function whyNot(error: unknown): string {
  switch (codeOf(error)) {
    case 'ECONNREFUSED':
      return 'connection refused: nobody listens there'
    case 'ENOENT':
      return 'there is no such socket'
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return 'there is no way to it (no route)'
    default:
      return messageOf(error)
  }
}

/** The socket once it is there. Ended when nobody waits any more. */
function opened<S extends net.Socket>(
  socket: S,
  event: 'connect' | 'secureConnect',
  cancellation: Cancellation,
): Promise<S> {
  return new Promise((resolve, reject) => {
    const giveUp: Cancellable = {
      cancelled(reason) {
        socket.destroy()
        reject(reason instanceof Error ? reason : new Error('given up'))
      },
    }
    cancellation.watch(giveUp)
    const end = (): void => cancellation.unwatch(giveUp)
    // Behind the handshake there may be an alert, which the request hears of.
    socket.on('error', error => {
      end()
      reject(error)
    })
    socket.once('close', () => {
      end()
      reject(new Error('the server ended the connection'))
    })
    socket.once(event, () => {
      end()
      resolve(socket)
    })
  })
}

type Tls = NonNullable<ConnectPlace['tls']>

/** Shakes hands without trusting anybody, so that the certificate can be looked at whatever is wrong with it. */
async function greeted(
  address: Address,
  tls: Tls,
  protocol: 'h2' | 'http/1.1',
  cancellation: Cancellation,
): Promise<CheckFinding> {
  let options: ConnectionOptions
  try {
    options = tls.options()
  } catch (error) {
    throw new CheckFailure(messageOf(error))
  }
  let socket: TLSSocket
  try {
    const made = connectSocket(address, { ...options, rejectUnauthorized: false }, protocol, tls.serverName)
    socket = (await opened(made, 'secureConnect', cancellation)) as TLSSocket
  } catch (error) {
    if (cancellation.isCancelled) throw error
    const { text, hint } = connectTrouble(error, true)
    throw new CheckFailure(text, text.includes('does not speak TLS') ? tls.plainHint : hint)
  }
  try {
    return judged(socket, options.servername ?? tls.serverName, tls, protocol)
  } finally {
    socket.destroy()
  }
}

function judged(socket: TLSSocket, host: string, { keys }: Tls, protocol: 'h2' | 'http/1.1'): CheckFinding {
  const chain = chainOf(socket.getPeerCertificate(true))
  const [leaf] = chain
  const who = leaf === undefined ? 'no certificate' : certificateText(leaf)
  const facts = { protocol: socket.getProtocol(), cipher: socket.getCipher().name, chain: chain.map(documentOf) }
  const spoken = `${socket.getProtocol() ?? 'TLS'}, ${who}`
  if (protocol === 'h2' && socket.alpnProtocol !== 'h2') {
    const hint = 'is it a gRPC port, and does what stands before it let HTTP/2 through?'
    throw new CheckFailure(`${spoken}; the server did not choose HTTP/2 in the TLS handshake (ALPN)`, hint, facts)
  }
  if (!socket.authorized) {
    // Node has the code there, whatever its types say.
    const code = String(socket.authorizationError)
    const trouble = certificateTrouble(code, host, leaf) ?? { text: `the certificate is not trusted (${code})` }
    const { text, hint } = trouble
    if (keys.insecure_skip_verify) {
      return { text: `${spoken}; not checked (\`tls.insecure_skip_verify\`): ${text}`, isWarning: true, hint, facts }
    }
    throw new CheckFailure(`${text}. It is ${who}; trusted: ${trustText(keys)}`, hint, facts)
  }
  if (keys.insecure_skip_verify) {
    return {
      text: `${spoken}; it would be trusted, and is not checked: \`tls.insecure_skip_verify\``,
      isWarning: true,
      facts,
    }
  }
  const ending = chain.find(one => daysLeft(one) < fewDays)
  if (ending !== undefined) {
    const left = Math.max(0, Math.floor(daysLeft(ending)))
    const text = `${spoken}; ${shownName(ending.subject)} ends in ${left} day${left === 1 ? '' : 's'}`
    return { text, isWarning: true, hint: 'renew it at the server before', facts }
  }
  return { text: `${spoken}; trusted by ${trustText(keys)}`, facts }
}

/** Which keys say whom to trust. */
function trustText({ ca_file, ca_pem, include_system_ca_certs_pool: system }: TlsClientConfig): string {
  const given =
    ca_file === undefined ? (ca_pem === undefined ? undefined : '`tls.ca_pem`') : `\`tls.ca_file\` ${ca_file}`
  const all = [given, system ? "the system's authorities (`tls.include_system_ca_certs_pool`)" : undefined]
  const named = all.filter(one => one !== undefined)
  return named.length > 0 ? named.join(' and ') : authoritiesOfNode()
}

function authoritiesOfNode(): string {
  const hasMore = nodeTls().getCACertificates('extra').length > 0
  return `the public authorities that Node brings along${hasMore ? ', with those of NODE_EXTRA_CA_CERTS' : ''}`
}

/** From the server's own upwards; bounded, and without the authority that vouches for itself twice. */
function chainOf(leaf: DetailedPeerCertificate): DetailedPeerCertificate[] {
  const chain: DetailedPeerCertificate[] = []
  let one: DetailedPeerCertificate | undefined = Object.keys(leaf).length === 0 ? undefined : leaf
  while (one !== undefined && chain.length < 8 && !chain.includes(one)) {
    chain.push(one)
    one = one.issuerCertificate
  }
  return chain
}

const shownName = (of: DetailedPeerCertificate['subject'] | undefined): string => {
  const name = of?.CN ?? of?.O ?? ''
  return `\`${shownText(String(name))}\``
}

const dateOf = (text: string): string => new Date(text).toISOString().slice(0, 10)
const daysLeft = ({ valid_to }: DetailedPeerCertificate): number => (Date.parse(valid_to) - Date.now()) / day

function certificateText(one: DetailedPeerCertificate): string {
  const names = namesOf(one)
  const forWhat = names.length === 0 ? 'without names' : `for ${names.join(', ')}`
  return `${shownName(one.subject)} of ${shownName(one.issuer)} ${forWhat}, until ${dateOf(one.valid_to)}`
}

const documentOf = (one: DetailedPeerCertificate) => ({
  subject: shownName(one.subject).slice(1, -1),
  issuer: shownName(one.issuer).slice(1, -1),
  names: namesOf(one),
  valid_from: new Date(one.valid_from).toISOString(),
  valid_to: new Date(one.valid_to).toISOString(),
})
