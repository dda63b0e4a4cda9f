import type { Standing } from './standing.ts'

/** Where a request came from. One value per connection, so that a request costs none, unless its metadata is kept. */
export interface Context {
  /** Id of the receiver. */
  readonly receiver: string
  readonly transport: string
  /** Address of the sender, where there is one. */
  readonly peer: string | undefined
  /** Request headers by lower-case name, with `include_metadata`. */
  readonly metadata: ReadonlyMap<string, readonly string[]> | undefined
  /** What an authenticator said of the sender. */
  readonly auth: ReadonlyMap<string, string> | undefined
  /** What is known of the sender, where malformed data is to be told. */
  readonly standing?: Standing | undefined
  /** Somebody follows it: the journal has it in any case. */
  readonly isFollowed?: boolean
}
