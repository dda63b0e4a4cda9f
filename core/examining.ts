/** A full look at a batch, for what a strict decoder would refuse of it. */
import { examine } from '../proto/examine.ts'
import type { Group } from '../proto/group.ts'
import type { Purse } from '../proto/purse.ts'
import { Batch } from './batch.ts'
import type { Share } from './share.ts'

/** Groups that are looked at between two pauses, small as they may be. */
const stride = 64

/** What one request has in it that is malformed. */
export interface MalformedPart {
  /** Counts and no data, to be ended; its context is that of the request. */
  readonly batch: Batch
  readonly reason: string
}

/** What was found in a batch of which not all is as it should be. */
export interface ExaminedBatch {
  /** Undefined where nothing is left. */
  readonly rest: Batch | undefined
  readonly malformed: readonly MalformedPart[]
  /** Items in which text was mended. */
  readonly mended: number
}

/** What is found in one request after the other. */
class Findings {
  readonly groups: (Group | undefined)[] = []
  readonly malformed: MalformedPart[] = []
  mended = 0
  made = 0
  hasAny = false
  readonly #batch: Batch
  readonly #purse: Purse

  constructor(batch: Batch, purse: Purse) {
    this.#batch = batch
    this.#purse = purse
  }

  *of(share: Share, groups: readonly Group[]): Generator<undefined, void> {
    const { signal } = this.#batch
    let items = 0
    let reason = ''
    for (const group of groups) {
      const found = yield* examine(signal, group, this.#purse)
      this.groups.push(found === undefined ? group : found.group)
      if (this.groups.length % stride === 0) yield
      if (found === undefined) continue
      this.hasAny = true
      items += found.malformed
      this.mended += found.mended
      this.made += found.made
      if (found.malformed > 0 && reason === '') ({ reason } = found)
    }
    if (items === 0) return
    const part = { ...share, items, groups: 0 }
    this.malformed.push({ batch: new Batch(signal, [], items, share.origin, [part]), reason })
  }
}

/**
 * Looks at all of a batch; undefined now and then, for a pause, and in the end where nothing was found. What is made of it
 * is charged to its requests; `purse` pays meanwhile.
 * @throws NoRoomError where it does not
 */
export function* examineBatch(batch: Batch, purse: Purse): Generator<undefined, ExaminedBatch | undefined> {
  const findings = new Findings(batch, purse)
  let at = 0
  for (const share of batch.shares) {
    yield* findings.of(share, batch.groups.slice(at, at + share.groups))
    at += share.groups
  }
  const { groups, malformed, mended, made, hasAny } = findings
  if (!hasAny) return undefined
  return { rest: batch.withoutItems(groups, made), malformed, mended }
}
