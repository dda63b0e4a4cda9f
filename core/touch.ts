/** What a component does with the data it is handed, so that `kymo explain` can tell it without running anything. */

/** How far into the data it goes. The bytes of what no component goes into stay as they came. */
export type Depth =
  /** Not into the bytes: what is known of the request, or how requests are put together. */
  | 'request'
  | 'resource'
  | 'scope'
  /** Spans, log records, metrics with their points. */
  | 'item'

/** What of a request a receiver can keep beside the data for components behind it, at one of its ways in. */
export interface Keeping {
  /** Headers, or who was let in. */
  readonly what: 'metadata' | 'auth'
  /** The key of the configuration that makes it so, such as `protocols.grpc.include_metadata`. */
  readonly key: string
  readonly kept: boolean
}

/** One thing a component does with data. */
export interface Touch {
  readonly depth: Depth
  /** `moves` puts whole requests, groups or items elsewhere and leaves the bytes of each as they are. */
  readonly does: 'reads' | 'edits' | 'drops' | 'moves'
  /** The key of the configuration that makes it do so, such as `attributes[0].action`; empty: it always does. */
  readonly key: string
  /**
   * What: the attribute, the field, in words what is not one thing. Of a request that is read: `metadata.x`, `auth.x` or
   * `client.address`.
   */
  readonly what: string
  /** Of `drops`: the reason its books have. */
  readonly reason?: string
  /** Of requests that are put together: what of them must be the same, as in `what` of a request that is read. */
  readonly apart?: readonly string[]
}
