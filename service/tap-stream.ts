/** What one tap tells: a stream of JSON lines, bounded in rate, bytes and time. Its viewer may be slow, data is not. */
import { Readable } from 'node:stream'
import type { Batch } from '../core/batch.ts'
import type { NodeName } from '../core/books.ts'
import { messageOf } from '../core/errors.ts'
import type { Logger } from '../core/logger.ts'
import type { Tap, TapSide } from '../pipelines/flow/tapped.ts'
import type { TapNode, TapViewer } from '../pipelines/graph/taps.ts'
import { ItemFilter, type WantedAttribute } from '../proto/item-filter.ts'
import { protobufToJson } from '../proto/json-write.ts'
import { type Signal, signals } from '../proto/signals.ts'
import { WireError } from '../proto/wire.ts'
import { isAlike, pick, pickAgain, type Picked } from './tap-pick.ts'

/** What is asked of a tap. */
export interface TapOrder {
  readonly wanted: readonly WantedAttribute[]
  /** 16 bytes. */
  readonly trace: Buffer | undefined
  /** Items after which it ends. */
  readonly limit: number
  /** Items a second. */
  readonly rate: number
  /** Milliseconds after which it ends. */
  readonly time: number
}

/** Why a tap ended. */
export type TapEnd = 'time' | 'limit' | 'reload' | 'stopping' | 'fault' | 'viewer'

/** Where something is seen. */
interface TapPlaceDocument {
  readonly kind: NodeName['kind']
  readonly component: string
  /** Of processors; others serve several. */
  readonly pipeline?: string
  readonly signal: Signal
}

/** One item, as a line has it; what is no valid OTLP has no request. */
export interface TapItemDocument extends TapPlaceDocument {
  readonly time: string
  readonly side: TapSide
  /** The same number on two lines, one after the other: an item before and after. */
  readonly pair?: number
  /** How many items came out at once of the batch that this one came in with. */
  readonly came_out?: number
  /** It is not shown whole: so many bytes it is. */
  readonly cut_from_bytes?: number
  /** Why it cannot be read. */
  readonly unreadable?: string
  /** The item with its resource and its scope, as an OTLP/JSON request. */
  readonly request?: object
}

/** What is told beside items. */
export interface TapNoteDocument {
  readonly note: 'tapping' | 'progress' | 'not_shown' | 'ended'
  readonly time: string
  /** Of `ended`. */
  readonly why?: TapEnd
  readonly message?: string
  /** Items that were not shown because the viewer reads too slowly. */
  readonly not_shown?: number
  readonly shown?: number
  /** What passed, and how many batches of that were looked at. */
  readonly batches?: number
  readonly items?: number
  readonly looked_at?: number
  /** Of `tapping`: where. */
  readonly at?: readonly (TapPlaceDocument & { readonly sides: readonly TapSide[] })[]
}

/** Bytes that wait for a viewer at most. */
const mostWaiting = 256 * 1024
/** Milliseconds without an item after which something is told all the same: the connection is not to look dead. */
const quietTime = 10_000
/** Milliseconds that a viewer has for the end. */
const lastWords = 30_000
/** Milliseconds that looking may take: of each second; at once, where little passes and nothing is compiled yet; of one batch. */
const looking = { perSecond: 15, burst: 60, batch: 4 }

/** So much in each second, and not more at once than `burst`. */
class Bucket {
  readonly #perSecond: number
  readonly #burst: number
  #level: number
  #at = performance.now()

  constructor(perSecond: number, burst: number) {
    this.#perSecond = perSecond
    this.#burst = this.#level = burst
  }

  level(now: number): number {
    this.#level = Math.min(this.#burst, this.#level + ((now - this.#at) / 1000) * this.#perSecond)
    this.#at = now
    return this.#level
  }

  take(amount: number): void {
    this.#level -= amount
  }
}

/** What a node is called in lines. */
const nameOf = ({ kind, id, pipeline }: NodeName) => ({
  kind,
  component: id,
  ...(kind === 'processor' ? { pipeline } : {}),
})

/** See above. */
export class TapStream implements TapViewer {
  readonly stream: Readable
  readonly #order: TapOrder
  readonly #filter: ItemFilter
  readonly #log: Logger
  readonly #rate: Bucket
  readonly #time = new Bucket(looking.perSecond, looking.burst)
  readonly #over: () => void
  readonly #timers: NodeJS.Timeout[] = []
  #isOver = false
  #hasBegun = false
  #isQuiet = true
  #pairs = 0
  #untold = 0
  readonly #counts = { shown: 0, not_shown: 0, batches: 0, items: 0, looked_at: 0 }

  /** `over` is called once, when it looks no more; not while data is handed on. */
  constructor(order: TapOrder, log: Logger, over: () => void) {
    this.#order = order
    this.#log = log
    this.#filter = new ItemFilter(order.wanted, order.trace)
    this.#rate = new Bucket(order.rate, order.rate)
    this.#over = over
    this.stream = new Readable({
      highWaterMark: mostWaiting,
      read() {},
      destroy: (error, done) => {
        this.#close('viewer')
        done(error)
      },
    })
    this.#timers.push(setTimeout(() => this.end('time', 'its time is over'), order.time).unref())
    this.#timers.push(setInterval(() => this.#progress(), quietTime).unref())
  }

  /** Says where it looks. */
  begin(nodes: readonly TapNode[]): void {
    const at = nodes.map(({ name, sides }) => ({ ...nameOf(name), signal: name.signal, sides }))
    this.#tell({ note: 'tapping', at })
    this.#hasBegun = true
    const places = new Set(at.map(({ kind, component }) => `${kind} ${component}`))
    this.#log.info({ at: [...places] }, 'a tap begins')
  }

  at(name: NodeName, sides: readonly TapSide[]): { readonly [side in TapSide]?: Tap } {
    const [only] = sides
    if (sides.length === 2) return this.#both(name)
    return only === undefined ? {} : { [only]: this.#one(name, only) }
  }

  /** It ends, and says so. */
  end(why: TapEnd, message: string): void {
    if (this.#isOver) return
    this.#tellUnread()
    this.#tell({ note: 'ended', why, message, ...this.#counts })
    this.#close(why)
    this.stream.push(null)
    // Whoever does not read it is not waited for.
    const timer = setTimeout(() => this.stream.destroy(), lastWords).unref()
    this.stream.once('close', () => clearTimeout(timer))
  }

  ended(message: string): void {
    this.end('reload', message)
  }

  #close(why: TapEnd): void {
    if (this.#isOver) return
    this.#isOver = true
    for (const timer of this.#timers) clearTimeout(timer)
    // It may be in the middle of a batch.
    queueMicrotask(this.#over)
    if (this.#hasBegun) this.#log.info({ why, ...this.#counts }, 'a tap has ended')
  }

  #one(name: NodeName, side: TapSide): Tap {
    return { see: batch => this.#guarded(() => this.#show(name, side, batch, this.#look(batch), {})) }
  }

  /** Shows what a step makes of an item, where what it is given and what comes out at once are alike. */
  #both(name: NodeName): { readonly in: Tap; readonly out: Tap } {
    let given: { readonly batch: Batch; readonly picked: readonly Picked[] } | undefined
    let out: { readonly batch: Batch; readonly picked: readonly Picked[] }[] = []
    let isPaired = false
    let cameOut = 0
    const pass = (): void => {
      if (given === undefined) return
      const { batch, picked } = given
      const after = out
      given = undefined
      out = []
      const [first] = after
      if (isPaired && first !== undefined) {
        picked.forEach((before, i) => {
          const pair = ++this.#pairs
          this.#show(name, 'in', batch, [before], { pair }, 0)
          this.#show(name, 'out', first.batch, first.picked.slice(i, i + 1), { pair })
        })
        return
      }
      this.#show(name, 'in', batch, picked, { came_out: cameOut })
      for (const one of after) this.#show(name, 'out', one.batch, one.picked, {}, 0)
    }
    const comesOut = (batch: Batch): void => {
      if (given === undefined) return this.#show(name, 'out', batch, this.#look(batch), {})
      const { picked } = given
      cameOut += batch.items
      if (picked.length === 0 || isPaired) return
      isPaired = out.length === 0 && isAlike(given.batch.groups, batch.groups)
      const most = picked.length - out.reduce((sum, one) => sum + one.picked.length, 0)
      if (isPaired) out.push({ batch, picked: pickAgain(batch, picked) })
      else if (most > 0) out.push({ batch, picked: pick(batch, this.#filter, most, performance.now() + looking.batch) })
    }
    const begin = (batch: Batch): void => {
      cameOut = 0
      isPaired = false
      out = []
      given = { batch, picked: this.#look(batch) }
    }
    return {
      in: { see: batch => this.#guarded(() => begin(batch)), passed: () => this.#guarded(pass) },
      out: { see: batch => this.#guarded(() => comesOut(batch)) },
    }
  }

  #guarded(work: () => void): void {
    if (this.#isOver) return
    const from = performance.now()
    try {
      work()
      if (this.#counts.shown >= this.#order.limit) this.end('limit', 'its limit is reached')
    } catch (error) {
      this.#log.error({ error: messageOf(error) }, 'a tap failed')
      this.end('fault', `a fault of Kymo, please report it: ${messageOf(error)}`)
    }
    // What took longer was kept by something else.
    this.#time.take(Math.min(looking.batch, performance.now() - from))
  }

  /** What of a batch is to be shown, as far as rate and time allow. */
  #look(batch: Batch): readonly Picked[] {
    const counts = this.#counts
    counts.batches++
    counts.items += batch.items
    const now = performance.now()
    const most = Math.min(Math.floor(this.#rate.level(now)), this.#order.limit - counts.shown)
    if (most < 1 || this.#time.level(now) <= 0) return []
    counts.looked_at++
    const picked = pick(batch, this.#filter, most, now + looking.batch)
    this.#rate.take(picked.length)
    return picked
  }

  /** Writes what was picked of `batch`; each counts as `weight` items. */
  #show(
    name: NodeName,
    side: TapSide,
    { signal }: Batch,
    picked: readonly Picked[],
    more: Pick<TapItemDocument, 'pair' | 'came_out'>,
    weight = 1,
  ): void {
    for (const { copy } of picked) {
      const cut = copy instanceof WireError || copy.cutFrom === undefined ? {} : { cut_from_bytes: copy.cutFrom }
      const head: TapItemDocument = { time: now(), ...nameOf(name), side, signal, ...more, ...cut }
      this.#write(lineOf(head, copy instanceof WireError ? copy : jsonOf(signal, copy.request)), weight)
    }
  }

  #write(line: Buffer, weight: number): void {
    const waiting = this.stream.readableLength
    if (waiting > 0 && waiting + line.length > mostWaiting) {
      this.#untold++
      this.#counts.not_shown++
      return
    }
    this.#tellUnread()
    this.#isQuiet = false
    this.#counts.shown += weight
    this.stream.push(line)
  }

  /** Where something was left out, says how much. */
  #tellUnread(): void {
    const not_shown = this.#untold
    this.#untold = 0
    if (not_shown > 0) this.#tell({ note: 'not_shown', not_shown })
  }

  #progress(): void {
    if (this.#isQuiet && this.stream.readableLength < mostWaiting) this.#tell({ note: 'progress', ...this.#counts })
    this.#isQuiet = true
  }

  #tell(note: Omit<TapNoteDocument, 'time'>): void {
    if (!this.#isOver) this.stream.push(`${JSON.stringify({ ...note, time: now() })}\n`)
  }
}

const now = (): string => new Date().toISOString()

function jsonOf(signal: Signal, request: Buffer): Buffer | WireError {
  try {
    return protobufToJson(signals[signal].request, request)
  } catch (error) {
    if (error instanceof WireError) return error
    throw error
  }
}

/** A line of JSON, around what is JSON already. */
function lineOf(head: TapItemDocument, request: Buffer | WireError): Buffer {
  if (request instanceof WireError) return Buffer.from(`${JSON.stringify({ ...head, unreadable: request.message })}\n`)
  const begin = Buffer.from(`${JSON.stringify(head).slice(0, -1)},"request":`)
  return Buffer.concat([begin, request, Buffer.from('}\n')])
}
