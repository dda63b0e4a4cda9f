import { type GatherSettings, inParts } from '../../core/gathering.ts'
import type { Batch } from '../../core/batch.ts'

/**
 * Two parts of a batch: along the requests it was made of while there are several, then between groups, then between
 * items. Undefined when it cannot be cut.
 */
export function halve(batch: Batch): [Batch, Batch] | undefined {
  const { shares, groups } = batch
  if (shares.length > 1) {
    const middle = shares.length >> 1
    return [batch.sliceShares(0, middle), batch.sliceShares(middle, shares.length)]
  }
  let items = 0
  if (groups.length > 1) for (const group of groups.slice(0, groups.length >> 1)) items += group.items
  const [head, rest] = batch.cut(items > 0 && items < batch.items ? items : batch.items >> 1 || 1)
  return rest === undefined ? undefined : [head, rest]
}

/** In parts that are no larger than `most`, as far as it can be cut. */
export function partsOf(batch: Batch, gathering: GatherSettings | undefined): readonly Batch[] {
  if (gathering === undefined || gathering.most === 0) return [batch]
  const { most, sizer } = gathering
  if (sizer === 'items') return inParts(batch, most)
  const halves = batch.byteLength > most ? halve(batch) : undefined
  return halves === undefined ? [batch] : halves.flatMap(half => partsOf(half, gathering))
}
