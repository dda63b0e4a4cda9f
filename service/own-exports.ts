/** Sends own telemetry to OTLP backends, as `service.telemetry` says. Nobody waits for it; what cannot be sent is dropped. */
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import { shownUrl } from '../core/shown-url.ts'
import { revealed, tlsReader } from '../net/client-keys.ts'
import { compress } from '../net/compression.ts'
import { GrpcClient } from '../net/grpc-client.ts'
import { HttpClient } from '../net/http-client.ts'
import { tlsClient } from '../net/tls.ts'
import { userAgent } from '../net/user-agent.ts'
import { type Signal, signals } from '../proto/signals.ts'
import type { OwnDestination } from '../telemetry/destination-config.ts'
import { OwnGatherer } from '../telemetry/gather.ts'
import { ownModule, type SelfReport } from '../telemetry/self-report.ts'

/** One way out. */
export interface OwnExport {
  readonly signal: Signal
  readonly destination: OwnDestination
  /** Milliseconds: between two times that metrics are sent, or that items are gathered. */
  readonly interval: number
  /** Of one request, in milliseconds. */
  readonly timeout: number
  readonly most: number
  readonly room: number
}

/** How long the last of it may take at most when the service stops, in milliseconds. */
const farewell = 1000

/** All ways out of one process. */
export class OwnExports {
  readonly #exports: readonly OwnExport[]
  readonly #report: SelfReport
  readonly #log: Logger
  readonly #ends: (() => Promise<void>)[] = []
  readonly #clients: OwnClient[] = []

  constructor(exports: readonly OwnExport[], report: SelfReport, log: Logger) {
    this.#exports = exports
    this.#report = report
    this.#log = log.child(ownModule)
  }

  start(): void {
    for (const one of this.#exports) {
      const client = new OwnClient(one, this.#log)
      this.#clients.push(client)
      if (one.signal === 'metrics') this.#startMetrics(one, client)
      else this.#startGathered(one, client)
    }
  }

  #startMetrics({ interval }: OwnExport, client: OwnClient): void {
    const report = this.#report
    let busy = false
    const send = async (): Promise<void> => {
      if (busy) return
      busy = true
      try {
        await client.send(report.request(report.metrics()))
      } catch (error) {
        this.#log.error({ code: 'INTERNAL', error }, 'fault of Kymo, please report it; own metrics were not made')
      } finally {
        busy = false
      }
    }
    const timer = setInterval(() => void send(), interval).unref()
    this.#ends.push(async () => {
      clearInterval(timer)
      await send()
    })
  }

  #startGathered({ signal, interval, most, room }: OwnExport, client: OwnClient): void {
    const report = this.#report
    const drop = (items: number): void => {
      report.dropped[signal] += items
    }
    const take = async (items: readonly Buffer[]): Promise<void> => {
      if (!(await client.send(report.request(items)))) drop(items.length)
    }
    const gatherer = new OwnGatherer({ interval, most, room }, take, drop)
    const end = signal === 'logs' ? report.onLog(gatherer.add, 'outside') : report.onSpan(gatherer.add)
    this.#ends.push(async () => {
      end()
      await gatherer.stop()
    })
  }

  /** Sends the last of it, if that does not take longer than `deadline` milliseconds. */
  async stop(deadline = farewell): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise(resolve => (timer = setTimeout(resolve, Math.min(deadline, farewell))))
    await Promise.race([Promise.all(this.#ends.splice(0).map(end => end())), late])
    clearTimeout(timer)
    await Promise.all(this.#clients.splice(0).map(client => client.close()))
  }
}

/** Sends to one destination, and logs when that begins to fail and when it is well again. */
class OwnClient {
  readonly #export: OwnExport
  readonly #log: Logger
  readonly #post: (body: Buffer) => Promise<void>
  readonly close: () => Promise<void>
  #failing = false

  constructor(one: OwnExport, log: Logger) {
    this.#export = one
    this.#log = log
    const { post, close } = one.destination.protocol === 'grpc' ? grpcClient(one, log) : httpClient(one)
    this.#post = post
    this.close = close
  }

  /** Says whether it was taken. */
  async send(request: Buffer): Promise<boolean> {
    const { signal, destination } = this.#export
    const fields = { signal, endpoint: shownUrl(destination.endpoint) }
    try {
      await this.#post(request)
      if (this.#failing) this.#log.info(fields, 'own telemetry is taken again')
      this.#failing = false
      return true
    } catch (error) {
      if (!this.#failing) this.#log.warn({ ...fields, error: messageOf(error) }, 'own telemetry is not taken')
      this.#failing = true
      return false
    }
  }
}

interface Post {
  readonly post: (body: Buffer) => Promise<void>
  readonly close: () => Promise<void>
}

function tlsOf({ insecure, caFile, certFile, keyFile }: OwnDestination) {
  if (insecure) return undefined
  return tlsReader(tlsClient().parse({ ca_file: caFile, cert_file: certFile, key_file: keyFile }))
}

function timeoutOf({ timeout, destination }: OwnExport): number {
  return Math.min(timeout || Infinity, destination.timeout || Infinity, 60_000)
}

function httpClient(one: OwnExport): Post {
  const { destination, signal } = one
  const url = new URL(destination.endpoint)
  // A path that is given is meant.
  if (url.pathname === '/') url.pathname = signals[signal].path
  const client = new HttpClient({ tls: tlsOf(destination) })
  const headers = {
    'content-type': 'application/x-protobuf',
    'user-agent': userAgent,
    ...(destination.gzip ? { 'content-encoding': 'gzip' } : {}),
    ...revealed(destination.headers),
  }
  return {
    async post(request) {
      const body = destination.gzip ? await compress('gzip', undefined, request) : request
      const { status } = await client.post(url, headers, body, { timeout: timeoutOf(one) })
      if (status < 200 || status > 299) throw new Error(`HTTP status ${status}`)
    },
    close: () => client.close(),
  }
}

function grpcClient(one: OwnExport, log: Logger): Post {
  const { destination, signal } = one
  const client = new GrpcClient({
    endpoint: destination.endpoint,
    tls: tlsOf(destination),
    headers: revealed(destination.headers),
    compression: destination.gzip ? 'gzip' : undefined,
    userAgent,
    log,
  })
  return {
    async post(request) {
      const body = destination.gzip ? await compress('gzip', undefined, request) : request
      const prefix = Buffer.alloc(5)
      prefix[0] = destination.gzip ? 1 : 0
      prefix.writeUInt32BE(body.length, 1)
      await client.call(signals[signal].grpcPath, Buffer.concat([prefix, body]), { timeout: timeoutOf(one) })
    },
    close: async () => client.close(),
  }
}
