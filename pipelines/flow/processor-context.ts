import type { ComponentContext, Downstream, ProcessorContext } from '../../core/component.ts'
import type { Signal } from '../../proto/signals.ts'
import type { StepNode } from './step-node.ts'

/** What a step is given of the node it runs in. */
export function processorContext(
  node: StepNode,
  place: { readonly id: string; readonly signal: Signal; readonly downstream: Downstream },
): Omit<ProcessorContext, Exclude<keyof ComponentContext, 'clock'>> {
  return {
    pipeline: place.id,
    signal: place.signal,
    clock: node.clock,
    downstream: place.downstream,
    reason: (name, kind) => node.books.reason(name, kind),
    end: (batch, reason) => node.end(batch, reason),
    fail: (batch, error) => node.fail(batch, error),
    fault: error => node.fault(error),
    refuse: (batch, error) => node.refuse(batch, error),
    holding: node.holding,
  }
}
