import type { ComponentContext, ProcessorContext } from '../../core/component.ts'
import type { StepNode } from './step-node.ts'

/** What a step is given of the node it runs in. */
export function processorContext(
  node: StepNode,
  { id: pipeline, ...place }: Pick<ProcessorContext, 'signal' | 'downstream' | 'apart'> & { readonly id: string },
): Omit<ProcessorContext, Exclude<keyof ComponentContext, 'clock'>> {
  return {
    pipeline,
    ...place,
    clock: node.clock,
    reason: (name, kind, by) => node.books.reason(name, kind, by),
    end: (batch, reason) => node.end(batch, reason),
    fail: (batch, error) => node.fail(batch, error),
    fault: error => node.fault(error),
    refuse: (batch, error) => node.refuse(batch, error),
    holding: node.holding,
  }
}
