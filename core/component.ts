/**
 * The contract of the five kinds of component. A component is one declaration: what it is, what may be set, and `create`.
 * Everything that all components need (queue, retry, books, status, logs, lifecycle) is wrapped around it by the graph.
 */
import type { Observable } from 'rxjs'
import type * as z from 'zod'
import type { Signal } from '../proto/signals.ts'
import type { Batch } from './batch.ts'
import type { Cancellation } from './cancellation.ts'
import type { Context } from './context.ts'
import type { DoorSources, NodeBooks } from './books.ts'
import type { Capability, FindOffered, Offers } from './capability.ts'
import type { Checkable } from './check.ts'
import type { Clock } from './clock.ts'
import type { Listener, Ticket } from './delivery.ts'
import type { DeliveryError } from './errors.ts'
import type { GatherSettings } from './gathering.ts'
import type { HoldingPort } from './holding.ts'
import type { Host } from './host.ts'
import type { Logger } from './logger.ts'
import type { Rooms } from './room.ts'
import type { SendingConfig } from './sending.ts'
import type { Status } from './status.ts'
import type { Keeping, Touch } from './touch.ts'
import type { Reason, ReasonKind } from './verdict.ts'
import type { PlacementBySignal, WorkerPlace } from './worker.ts'

/** The kinds, named as the sections of the configuration. */
export type Kind = 'receiver' | 'processor' | 'exporter' | 'connector' | 'extension'

/** How mature a component is, in the Collector's words. */
export type Stability = 'development' | 'alpha' | 'beta' | 'stable'

/** A value of a configuration that does not go with a signal. */
export interface Unfit {
  /** Keys and indices that lead to it. */
  readonly path: readonly (string | number)[]
  readonly problem: string
  /** What to do. */
  readonly hint?: string
}

/** What every declaration says of its component. */
export interface Declared<Config> {
  /** The name users write; also the file's name, the docs page, the metric label. */
  readonly type: string
  /** Older names that mean the same. */
  readonly aliases?: readonly string[]
  readonly stability: Stability
  /** Where it runs when there are several processes side by side; in one of them unless it says so. */
  readonly runs?: PlacementBySignal
  /** One sentence. */
  readonly summary: string
  readonly signals: readonly Signal[]
  /** The only place where keys, defaults, units, checks and descriptions stand. */
  readonly config: z.ZodType<Config>
  /** What of a configuration does not go with a signal the component is used for. */
  unfit?(config: Config, signal: Signal): readonly Unfit[]
  readonly examples: readonly { readonly title: string; readonly config: unknown }[]
  /** A table for its page, of what its keys cannot say. */
  readonly table?: {
    readonly title: string
    readonly text: string
    readonly head: readonly string[]
    readonly rows: readonly (readonly string[])[]
  }
}

/** What every component is given. */
export interface ComponentContext {
  /**
   * What the running extension `id` offers under a key; the schema says at which key of the configuration it is named
   * (`reference`). To be asked for in `start`, not in `create`.
   */
  readonly extension: FindOffered
  /** `type` or `type/name`. */
  readonly id: string
  readonly log: Logger
  readonly status: Status
  readonly host: Host
  /** Which of several processes this one is: what it has outside of them carries the number. */
  readonly worker: WorkerPlace
  /** Time, and timers that end with the component. */
  readonly clock: Clock
}

/** A part that runs. Each is called once; `stop` also after a failed or unfinished `start`, and without `run`. */
export interface Lifecycle {
  /**
   * Opens what it needs, and throws when it cannot: then the configuration does not come to run. Another one may run beside it
   * and go on afterwards, so nothing begins here that takes data, or that touches what an instance before this one may use.
   */
  start?(): Promise<void> | void
  /**
   * From now on it runs: all of a configuration in one turn. What takes data by itself, or what only one instance may have,
   * begins here; it is too late to fail.
   */
  run?(): void
  stop?(): Promise<void> | void
}

export interface ReceiverContext extends ComponentContext {
  /** The signals that some pipeline takes from this receiver. */
  readonly signals: ReadonlySet<Signal>
  /** Where data comes from; made once per connection, or whatever else stays. */
  origin(of: Pick<Context, 'transport' | 'peer'>): Context
  /**
   * Lets in what `body` holds, an OTLP request of `signal` that nobody else reads any more; its `charge` of the budget is
   * taken over. `by` is told what becomes of it, later. Never throws.
   */
  enter(signal: Signal, body: Buffer, charge: number, origin: Context, by: Listener): Ticket
  /** The same for a request that `text` is as OTLP/JSON; it is let go of once it is read. */
  enterJson(signal: Signal, text: Buffer, charge: number, origin: Context, by: Listener): Ticket
  /** For a source that is read: room for what it is about to read. */
  readonly rooms: Rooms
  /** Hands a batch to the pipelines of its signal. Never throws; what came of it is told to the batch's deliveries. */
  push(batch: Batch): void
  books(signal: Signal): NodeBooks
  /**
   * Offers the books the requests it turns away, by reason, and what is to be asked of its door; read when somebody asks.
   */
  door(transport: string, refusals: Readonly<Record<string, number>>, sources?: DoorSources): void
}

/** One step of a pipeline: plain RxJS over batches. Taken from a method's type, so that steps of one signal fit in a list of all. */
export type Step = {
  step(source: Observable<Batch>): Observable<Batch>
}['step']

/** What can say what it does with the data, as far as its configuration tells: for `kymo explain`. */
interface Touching<Config> {
  touches?(config: Config): readonly Touch[]
}

/** How long a step holds what it was given. */
export type Hold =
  /** Not beyond the push that brought it. */
  | 'none'
  /** Until it flushes, which it does soon, and when its input completes. */
  | 'flush'
  /** Longer than a sender waits: it takes custody, the sender hears success. */
  | 'state'

/** What lies behind a step: whether something of its pipeline is being sent. */
export interface Downstream {
  /** Batches handed to destinations that have not ended. */
  readonly inFlight: number
  /** Whether what is handed on now would only wait for room. */
  readonly closed: boolean
  /** Calls `listener` whenever that reaches 0, until the returned function is called. */
  onIdle(listener: () => void): () => void
}

export interface ProcessorContext extends ComponentContext {
  readonly pipeline: string
  readonly signal: Signal
  readonly downstream: Downstream
  /** What components behind need of each request: `metadata.x`, `auth.x`. A step that puts requests together keeps them apart by it. */
  apart(): readonly string[]
  /**
   * A reason for which items may end here; ask for it in `create`. With `by`, the resource attribute that decides, what ends
   * is counted by its values, too.
   */
  reason(name: string, kind: ReasonKind, by?: string): Reason
  /** Ends a batch, or a part of it. */
  end(batch: Batch, reason: Reason): void
  /** Ends a batch on which the step failed: its senders are asked to come again. */
  fail(batch: Batch, error: unknown): void
  /** Something went wrong that should not: it is told, and counted. */
  fault(error: unknown): void
  /** Ends a batch that could not be processed: its senders are asked to come again. */
  refuse(batch: Batch, error: DeliveryError): void
  /** For a step that keeps data; see `holding` of processors/steps.ts. */
  readonly holding: HoldingPort
}

export interface ExporterContext extends ComponentContext {
  readonly signals: ReadonlySet<Signal>
  /** There is a connection to the destination, or there may be one now: what waits because there was none is tried. */
  reached(): void
}

/** What a destination said of a batch it has taken. */
export interface Sent {
  /** Items it rejected of it, and why (OTLP: partial success). 0 with a message is a warning. */
  readonly rejected: number
  readonly message: string
  /** The rejected by reason, where more is known than that the destination took only a part (`partial_success`). */
  readonly reasons?: Readonly<Record<string, number>>
}

/** One time that a batch is sent. It is cancelled when nobody waits for the answer any more. */
export interface Attempt extends Cancellation {
  /** The same for those who know signals: it is made when it is asked for. */
  readonly signal: AbortSignal
  /** Which attempt of the batch it is; the first is 1. */
  readonly number: number
  /**
   * Says that the destination has given its last word on `part`: groups of the batch, as `partsOf` gives them. They are booked, and
   * what is sent again, cut or given up later is only the rest. To be called once everything that went out of the part has
   * been answered, and not once it is cancelled: then the part goes out again, and may arrive twice.
   */
  settle(part: Batch, sent?: Sent): void
  /**
   * What the exporter wants to find when the same batch is tried again, less what of it was settled. As long as there is
   * something, the batch is not cut; whoever takes over after a reload begins without.
   */
  memo: unknown
  /**
   * The batch failed again and again while others were taken. One with a memo is not cut, as pieces would begin anew: what of it
   * fails now is to be given up by the exporter, which says so in what it was `Sent`; else all of it is given up.
   */
  readonly isSuspect: boolean
}

export interface Exporter extends Lifecycle {
  /**
   * Whether one send can carry the batch, as far as its counts and sizes tell. What does not fit is halved before it is
   * sent; a single item always is.
   */
  fits?(batch: Batch): boolean
  /**
   * Sends one batch, once. Resolves when the destination has it, or what of it was not settled.
   * @throws DeliveryError saying what it means for the data not settled; anything else thrown is a fault worth a retry
   */
  send(batch: Batch, attempt: Attempt): Promise<Sent | undefined>
  /**
   * What it knows besides its data (series, what counters said last), for the instance of the same id and type that takes
   * its place on a reload, when that is sure to run. The two share it: this one still has attempts under way.
   */
  leave?(): unknown
  /** Between `start` and `run`: takes over what `leave` of another instance gave. After false, or a throw, it begins with nothing. */
  adopt?(state: unknown): boolean
  /**
   * Where it sends, each with how to find out whether that would take data; nothing is sent but what holds no data. Asked of an
   * instance that is neither started nor given anything, and stopped afterwards. `isRunning`: another one of the same
   * configuration runs in this process, and has what only one may have. Without it, it is told as not looked at.
   */
  check?(isRunning: boolean): readonly Checkable[]
}

/** Extensions serve other components by what they offer. */
export interface Extension extends Lifecycle, Offers {}

export interface ReceiverDefinition<Config = never> extends Declared<Config> {
  readonly kind: 'receiver'
  /**
   * Where its data comes from: a sender that waits for an answer (unless said otherwise), something that can be read
   * again, or itself.
   */
  readonly origin?: 'sender' | 'source' | 'itself'
  /** What of requests it can keep, as configured. Without it, it can keep nothing. */
  keeps?(config: Config): readonly Keeping[]
  create(config: Config, context: ReceiverContext): Lifecycle
}
export interface ProcessorDefinition<Config = never> extends Declared<Config>, Touching<Config> {
  readonly kind: 'processor'
  readonly hold: Hold
  /**
   * What becomes of what it keeps when it is replaced by an instance of itself in the same place: that takes it `again`
   * (from where it was, and with its age), or it is flushed to where it was to go. Flushed unless it says so.
   */
  readonly reload?: 'again' | 'flush'
  /**
   * Milliseconds after which it has let go of whatever it keeps, as configured. A handle that it keeps for twice as long is
   * ended in its place, and counted as a fault. Without it, it may keep for ever.
   */
  longest?(config: Config): number
  /**
   * It removes what must not be seen: of data that has not passed it nobody who operates is shown values, in the journal or
   * elsewhere.
   */
  readonly redacts?: boolean
  /**
   * All it does is put requests together, in this way: where it stands last before a queue on disk, that is done behind the
   * queue in its place.
   */
  gathers?(config: Config): GatherSettings
  /** It is meant to stand first: what stands before it works without the limit it sets. */
  readonly first?: boolean
  create(config: Config, context: ProcessorContext): Step
}
/** What must leave in order, across retries, too. */
export type Ordering = 'none' | 'series' | 'stream' | 'partition'

export interface ExporterDefinition<Config extends SendingConfig = never> extends Declared<Config>, Touching<Config> {
  readonly kind: 'exporter'
  /**
   * What must leave in order, where signals differ of each. Other than `none`: batches leave one after the other; an exporter that
   * wants more at the same time parts each batch by the key and sends the parts side by side.
   */
  readonly ordering: Ordering | Readonly<Record<Signal, Ordering>>
  /** What it does is done in this process and at once: nobody waits for more to be gathered in front of it. */
  readonly local?: boolean
  create(config: Config, context: ExporterContext): Exporter
}
/** What must leave such an exporter in order of one signal. */
export function orderingOf({ ordering }: Pick<ExporterDefinition, 'ordering'>, signal: Signal): Ordering {
  return typeof ordering === 'string' ? ordering : ordering[signal]
}

/** One connector is made per pair of signals it joins. */
export interface ConnectorContext extends ProcessorContext {
  /** The signal of what it emits. */
  readonly emits: Signal
  /**
   * Ends a batch of which nothing is left to do: what was made of it goes on as data of its own, with deliveries that no
   * sender waits for. The senders hear success.
   */
  consume(batch: Batch): void
}

export interface ConnectorDefinition<Config = never> extends Declared<Config>, Touching<Config> {
  readonly kind: 'connector'
  /**
   * What it emits is data of its own, and what it takes ends with it (`consume`): nothing behind it refuses or holds up
   * what is in front of it. Otherwise it hands on what it takes. Unless it says so, it derives what is of another signal.
   */
  readonly derives?: boolean
  /** What it turns into what; `signals` are those it takes. */
  readonly joins: readonly (readonly [from: Signal, to: Signal])[]
  readonly hold: Hold
  /** As that of a processor. */
  longest?(config: Config): number
  create(config: Config, context: ConnectorContext): Step
}
/** What an extension does with data, it does for the components that name it. */
export interface ExtensionDefinition<Config = never> extends Declared<Config>, Touching<Config> {
  readonly kind: 'extension'
  /** What others can name it for. */
  readonly offers?: readonly Capability[]
  /** What of that it offers as it is configured; all of it unless it says so. */
  offersAs?(config: Config): readonly Capability[]
  /** It has something that two cannot have (a directory): a reload that changes its configuration is refused. */
  readonly exclusive?: boolean
  create(config: Config, context: ComponentContext): Extension
}

/** A component as the list of components has it: its config type is its own business. */
export type Definition =
  | ReceiverDefinition
  | ProcessorDefinition
  | ExporterDefinition
  | ConnectorDefinition
  | ExtensionDefinition

export const defineReceiver = <C>(definition: Omit<ReceiverDefinition<C>, 'kind'>): ReceiverDefinition => ({
  ...(definition as ReceiverDefinition),
  kind: 'receiver',
})
export const defineProcessor = <C>(definition: Omit<ProcessorDefinition<C>, 'kind'>): ProcessorDefinition => ({
  ...(definition as unknown as ProcessorDefinition),
  kind: 'processor',
})
export const defineExporter = <C extends SendingConfig>(
  definition: Omit<ExporterDefinition<C>, 'kind'>,
): ExporterDefinition => ({ ...(definition as unknown as ExporterDefinition), kind: 'exporter' })
export const defineConnector = <C>(definition: Omit<ConnectorDefinition<C>, 'kind'>): ConnectorDefinition => ({
  ...(definition as unknown as ConnectorDefinition),
  kind: 'connector',
})
export const defineExtension = <C>(definition: Omit<ExtensionDefinition<C>, 'kind'>): ExtensionDefinition => ({
  ...(definition as unknown as ExtensionDefinition),
  kind: 'extension',
})
