/** One look at a Kymo that runs: what the terminal view is made of. */
import type { ComponentDocument } from '../../service/component-pages.ts'
import type { PipelineDocument } from '../../service/pipeline-pages.ts'
import type { Attention } from '../../service/status.ts'
import { ask } from '../admin-client.ts'

/** What is read of `/status`. */
export interface WholeDocument {
  readonly process: { readonly version: string; readonly phase: string; readonly pid: number; readonly started: string }
  readonly memory: { readonly rss_bytes: number; readonly limit_bytes: number; readonly pressed: boolean }
  readonly needs_you: readonly Attention[]
  readonly lost_for_good: number
  readonly books_faults: readonly string[]
  /** Not told by versions before pipelines had rows. */
  readonly pipelines?: readonly PipelineDocument[]
}

/** What was answered, and when. */
export interface Look {
  /** Milliseconds since the epoch. */
  readonly at: number
  readonly whole: WholeDocument
  readonly components: readonly ComponentDocument[]
}

/** Asks for it. @throws AskError */
export async function look(admin: string): Promise<Look> {
  const [whole, listed] = await Promise.all([ask(admin, '/status'), ask(admin, '/v1/components?kind=exporter')])
  // Both are what our own admin server says; the client has checked that it is one.
  const { components } = listed as { readonly components: readonly ComponentDocument[] }
  return { at: Date.now(), whole: whole as WholeDocument, components }
}
