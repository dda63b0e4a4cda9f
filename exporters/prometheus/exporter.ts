/** One page: the table behind it and the server in front of it. */
import { once } from 'node:events'
import type { IncomingHttpHeaders } from 'node:http'
import { createGzip } from 'node:zlib'
import { Account } from '../../core/account.ts'
import { serverAuthenticatorKey } from '../../core/auth.ts'
import type { Batch } from '../../core/batch.ts'
import { budgetKey } from '../../core/budget.ts'
import type { Clock, Timer } from '../../core/clock.ts'
import { type Checkable, CheckFailure, type CheckFinding } from '../../core/check.ts'
import type { Exporter, ExporterContext, Sent } from '../../core/component.ts'
import { Kept } from '../../core/kept.ts'
import { messageOf } from '../../core/errors.ts'
import { Turns } from '../../core/turns.ts'
import { CertificateStatus } from '../../net/certificate-status.ts'
import { type Binding, Listeners, listenersKey } from '../../net/listeners.ts'
import { type Page, PageServer, textPage } from '../../net/page-server.ts'
import { metricName } from '../../backends/prometheus/names.ts'
import { type PageFormat, pageFormat, takesGzip } from '../../backends/prometheus/text-format.ts'
import { Ingest } from './ingest.ts'
import { Intake } from './intake.ts'
import { namingOf } from './naming.ts'
import type { PageSettings, PageWriter } from './families.ts'
import { TextPage } from './page.ts'
import { ProtobufPage } from './protobuf-page.ts'
import type { PrometheusConfig } from './prometheus.ts'
import { Table } from './table.ts'

/** The rest of gzip's ratio costs more time than it saves on the way. */
const level = 1
/** Milliseconds after which a page that is being made lets others have their turn. */
const turn = 5
/** How often series that nobody scrapes are looked after, in milliseconds. */
const mostBetweenSweeps = 60_000

/** The log hears of what is not on the page no more often than this, in milliseconds. */
const betweenComplaints = 10_000

/** A table and what it is made by: the next instance goes on with it if it would write the same names and labels. */
class Filled {
  readonly identity: string
  readonly table: Table
  readonly ingest: Ingest
  readonly intake: Intake

  constructor(identity: string, table: Table, ingest: Ingest, turns: Turns) {
    this.identity = identity
    this.table = table
    this.ingest = ingest
    this.intake = new Intake(ingest, turns)
  }
}

/** The exporter `prometheus`. */
export class PrometheusPage implements Exporter {
  readonly #config: PrometheusConfig
  readonly #context: ExporterContext
  readonly #settings: PageSettings
  readonly #identity: string
  #kept: Kept<Filled>
  #server: PageServer | undefined
  #binding: Binding | undefined
  #sweeps: Timer | undefined
  /** Pages that are being made, by format: whoever asks meanwhile gets the same one. */
  readonly #making = new Map<string, Promise<Buffer>>()
  #lastComplaint = ''
  #lastComplained = -Infinity

  constructor(config: PrometheusConfig, context: ExporterContext) {
    this.#config = config
    this.#context = context
    const naming = namingOf(config)
    const { strategy, namespace, identity } = naming
    this.#identity = identity
    this.#settings = {
      strategy,
      infoName: metricName('target_info', '', 'gauge', strategy, namespace),
      withTimestamps: config.send_timestamps,
    }
    const budget = context.host.find(budgetKey)
    const account = new Account(budget, 'exporter', context.id)
    const table = new Table([this.#settings.infoName], account)
    const filled = new Filled(identity, table, new Ingest(table, naming, account), budget?.turns ?? new Turns())
    this.#kept = new Kept(filled, account, this)
    this.#limit()
  }

  leave(): Kept<Filled> {
    return this.#kept
  }

  adopt(state: unknown): boolean {
    if (!(state instanceof Kept) || !(state.known instanceof Filled) || state.known.identity !== this.#identity)
      return false
    state.handTo(this)
    this.#kept = state
    this.#limit()
    return true
  }

  /** The limits that are configured here. */
  #limit(): void {
    const { table } = this.#kept.known
    table.limit = this.#config.series_limit
    table.expiration = this.#config.metric_expiration
  }

  async start(): Promise<void> {
    const { id, log, status, host, clock } = this.#context
    const { auth, endpoint, transport, metric_expiration: expiration } = this.#config
    const between = Math.min(expiration || mostBetweenSweeps, mostBetweenSweeps)
    this.#sweeps = clock.every(between, () => inTurns(this.#kept.known.ingest.expire(clock.now()), clock))
    const certificates = new CertificateStatus(status)
    const listeners = host.get(listenersKey)
    const server = new PageServer({
      config: this.#config,
      authenticator: auth && this.#context.extension(auth.authenticator, serverAuthenticatorKey),
      log,
      page: (path, _query, headers) => (path === '/metrics' ? this.#page(headers) : undefined),
      presented: listeners.presented(endpoint, transport),
      onTls: error => certificates.tell('http', error),
    })
    this.#server = server
    this.#binding = await listeners.listen(endpoint, server.accept, id, transport)
    log.info({ endpoint: this.#binding.address }, 'listening')
  }

  async stop(): Promise<void> {
    this.#sweeps?.cancel()
    const replaced = this.#binding?.replaced
    const closed = this.#binding?.close()
    this.#server?.retire(replaced ?? false)
    try {
      await closed
      // Pages that are being made take their turns by the clock, which ends with the exporter: those of large tables before the
      // time for last answers begins, those that were asked for in it at its end.
      await Promise.allSettled(this.#making.values())
      await this.#server?.stop(replaced)
      await Promise.allSettled(this.#making.values())
    } finally {
      // Until here it may be read.
      this.#kept.release(this)
    }
  }

  async send(batch: Batch): Promise<Sent | undefined> {
    const sent = await this.#kept.known.intake.take(batch, this.#context.clock.now())
    if (sent !== undefined) this.#complain(sent)
    return sent
  }

  /** Whether its address is free; while it runs it is not, because it has it. */
  check(isRunning: boolean): readonly Checkable[] {
    const { endpoint, transport } = this.#config
    const look = async (): Promise<CheckFinding> => {
      if (isRunning) return { text: 'this process listens there' }
      await isFree(endpoint, this.#context.id, transport)
      return { text: 'it is free' }
    }
    return [
      {
        endpoint,
        signals: ['metrics'],
        check: async steps => void (await steps.take('listen', look)),
      },
    ]
  }

  /** Says in log and status what is not on the page, when that changes. */
  #complain({ message, rejected, reasons }: Sent): void {
    const { log, status } = this.#context
    if (status.state === 'OK') status.set('OK', message)
    const now = this.#context.clock.now()
    if (message === this.#lastComplaint || now - this.#lastComplained < betweenComplaints) return
    this.#lastComplaint = message
    this.#lastComplained = now
    log.warn({ rejected, reasons, problem: message }, 'not all that came is on the page as it came')
  }

  async #page(headers: IncomingHttpHeaders): Promise<Page> {
    const format = pageFormat(headers.accept, { openMetrics: this.#config.enable_open_metrics, protobuf: true })
    const zip = takesGzip(headers['accept-encoding']?.toString())
    const page = textPage(200, '')
    const body = await this.#made(format, zip)
    const varying = { vary: 'Accept, Accept-Encoding' }
    return {
      ...page,
      type: format.contentType,
      body,
      headers: zip ? { ...varying, 'content-encoding': 'gzip' } : varying,
    }
  }

  #made(format: PageFormat, zip: boolean): Promise<Buffer> {
    const key = `${format.contentType} ${zip}`
    let making = this.#making.get(key)
    if (making === undefined) {
      making = this.#make(format, zip).finally(() => this.#making.delete(key))
      this.#making.set(key, making)
    }
    return making
  }

  async #make(format: PageFormat, zip: boolean): Promise<Buffer> {
    const { table, ingest } = this.#kept.known
    const { clock } = this.#context
    await inTurns(ingest.expire(clock.now()), clock)
    const source = { table, format, settings: this.#settings }
    const page = format.kind === 'protobuf' ? new ProtobufPage(source) : new TextPage(source)
    return zip ? zipped(page.write(), clock) : joined(page.write(), clock)
  }
}

/** @throws CheckFailure where somebody listens there, or nobody may */
async function isFree(endpoint: string, owner: string, transport: string | undefined): Promise<void> {
  const listeners = new Listeners()
  try {
    await listeners.listen(endpoint, socket => socket.destroy(), owner, transport)
  } catch (error) {
    throw new CheckFailure(messageOf(error), 'a Kymo that runs here already has it: ask that one with --running')
  } finally {
    await listeners.close()
  }
}

/** Lets others have their turn. */
const turnOf = (clock: Clock): Promise<void> => new Promise(resolve => clock.soon(resolve))

/** Takes all steps, and lets others have their turn whenever these took theirs. */
async function inTurns<T>(steps: Iterable<T>, clock: Clock, each: (step: T) => void = () => {}): Promise<void> {
  let since = clock.now()
  for (const step of steps) {
    each(step)
    if (clock.now() - since < turn) continue
    await turnOf(clock)
    since = clock.now()
  }
}

/** A page in one piece. */
async function joined(pieces: PageWriter, clock: Clock): Promise<Buffer> {
  const all: Buffer[] = []
  await inTurns(pieces, clock, piece => {
    if (piece !== undefined) all.push(piece)
  })
  return Buffer.concat(all)
}

/** A page compressed: only that much of it is in memory as it is being compressed. */
async function zipped(pieces: PageWriter, clock: Clock): Promise<Buffer> {
  const zip = createGzip({ level })
  const all: Buffer[] = []
  zip.on('data', (part: Buffer) => all.push(part))
  const ended = once(zip, 'end')
  // An error is met below, wherever it is waited at that moment.
  ended.catch(() => {})
  for (const piece of pieces) {
    if (piece === undefined) await turnOf(clock)
    else if (!zip.write(piece)) await once(zip, 'drain')
  }
  zip.end()
  await ended
  return Buffer.concat(all)
}
