/** Several batches as one. */
import type { Group } from '../proto/group.ts'
import { Batch } from './batch.ts'
import type { Context } from './context.ts'
import { InternalError } from './errors.ts'
import type { Share } from './share.ts'

/**
 * One batch of several, in order. All must be of one signal; the context is kept where they agree.
 * @throws InternalError without any
 */
export function mergeBatches(batches: readonly Batch[]): Batch {
  const [first] = batches
  if (first === undefined) throw new InternalError('there are no batches to make one of')
  if (batches.length === 1) return first
  const groups: Group[] = []
  const shares: Share[] = []
  let items = 0
  let context = first.context
  for (const batch of batches) {
    for (const group of batch.groups) groups.push(group)
    for (const share of batch.shares) shares.push(share)
    items += batch.items
    if (batch.context !== context) context = commonContext(context, batch.context)
  }
  return new Batch(first.signal, groups, items, context, shares)
}

type Metadata = Context['metadata']

/** The headers that two requests both had, with the same values: what both were gathered by is among them. */
function commonMetadata(a: Metadata, b: Metadata): Metadata {
  if (a === b || a === undefined || b === undefined) return a === b ? a : undefined
  const same = [...a].filter(([name, values]) => sameTexts(values, b.get(name)))
  if (same.length === a.size) return a
  return same.length === 0 ? undefined : new Map(same)
}

function sameTexts(a: readonly string[], b: readonly string[] | undefined): boolean {
  return b !== undefined && a.length === b.length && a.every((text, i) => text === b[i])
}

/** What is known alike of who sent two requests: each may have been let in anew. */
function commonAuth(a: Context['auth'], b: Context['auth']): Context['auth'] {
  if (a === b || a === undefined || b === undefined) return a === b ? a : undefined
  const same = [...a].filter(([name, value]) => b.get(name) === value)
  if (same.length === a.size) return a
  return same.length === 0 ? undefined : new Map(same)
}

/** What two contexts have in common. */
function commonContext(a: Context, b: Context): Context {
  return {
    receiver: a.receiver === b.receiver ? a.receiver : '',
    transport: a.transport === b.transport ? a.transport : '',
    peer: a.peer === b.peer ? a.peer : undefined,
    metadata: commonMetadata(a.metadata, b.metadata),
    auth: commonAuth(a.auth, b.auth),
  }
}
