/** A checked configuration as the graph is built from it. */
import type { Signal } from '../proto/signals.ts'
import type { Use } from './capability.ts'
import type { Definition, Kind } from './component.ts'
import type { Concealed } from './concealed.ts'

/** One component of a configuration, checked. */
export interface ConfiguredComponent<K extends Kind = Kind> {
  /** As written: `type` or `type/name`. */
  readonly id: string
  readonly definition: Extract<Definition, { kind: K }>
  /** What the definition's schema made of the section: defaults filled in. */
  readonly config: unknown
  /** Values of it that are not to be told: secrets, and what came from variables and files. */
  readonly concealed?: Concealed | undefined
  /** The extensions it uses: it restarts when one of them does. */
  readonly uses: readonly Use[]
}

/** One entry of `service.pipelines`, with ids that are all configured. */
export interface ConfiguredPipeline {
  /** `signal` or `signal/name`. */
  readonly id: string
  readonly signal: Signal
  /** Ids of receivers, or of connectors. */
  readonly receivers: readonly string[]
  readonly processors: readonly string[]
  /** Ids of exporters, or of connectors. */
  readonly exporters: readonly string[]
}

/** Everything that runs: components by id, and how they are connected. */
export interface Configured {
  readonly receivers: ReadonlyMap<string, ConfiguredComponent<'receiver'>>
  readonly processors: ReadonlyMap<string, ConfiguredComponent<'processor'>>
  readonly exporters: ReadonlyMap<string, ConfiguredComponent<'exporter'>>
  readonly connectors: ReadonlyMap<string, ConfiguredComponent<'connector'>>
  readonly extensions: ReadonlyMap<string, ConfiguredComponent<'extension'>>
  /** `service.extensions`, in order. */
  readonly started: readonly string[]
  readonly pipelines: readonly ConfiguredPipeline[]
}
