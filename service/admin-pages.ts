/** What the admin server is made of. */
import type { MetricsPage } from '../telemetry/metrics.ts'
import type { Access } from './access.ts'
import type { AnyRoute } from './api.ts'

/** What somebody did through the admin server. */
export interface Deed {
  readonly what: string
  /** An address, or that it was a unix socket. */
  readonly by: string
  /** What it was done with: parameters of the query, or keys of the body. */
  readonly words: Readonly<Record<string, unknown>>
}

/** What the admin server shows. */
export interface AdminPages {
  /** Undefined when `service.telemetry.metrics.level` is none. */
  readonly metrics: (() => Promise<MetricsPage>) | undefined
  /** Whether data is taken; and why not. */
  ready(): { ready: boolean; phase: string }
  /** Undefined on an address that is only for metrics and health. */
  readonly status?: (() => object) | undefined
  /** Pages with questions in them. */
  readonly routes?: readonly AnyRoute[]
  /** Who may ask and change; without it, as if there was no token. */
  readonly access?: Access
  /** Told of what somebody did, once it has begun. */
  done?(deed: Deed): void
  /** What the server is called besides localhost and its addresses. */
  readonly names?: readonly string[]
}
