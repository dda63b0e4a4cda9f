/** How the parts of an assembly are joined: who hands on to whom. */
import type { Assembly } from './assembly.ts'
import type { Sink } from '../sending/sink.ts'
import type { Pipeline } from '../flow/pipeline.ts'
import type { StepNode } from '../flow/step-node.ts'

/**
 * Joins all parts as the configuration says, from the back to the front, so that nothing comes in before it can be passed
 * on. Returns, by pipeline, the steps that have no place in it any more.
 */
export function join(assembly: Assembly): Map<Pipeline, readonly StepNode[]> {
  const left = new Map<Pipeline, readonly StepNode[]>()
  for (const destination of assembly.destinations) {
    const { id, signal } = destination.books.name
    destination.gatherAs(assembly.plan.gatheredBy(id, signal))
  }
  for (const id of assembly.inOrder().toReversed()) {
    const part = assembly.pipelines.get(id)
    if (part === undefined) continue
    const { pipeline, steps } = part
    const sinks = assembly.sinksOf(id)
    for (const { id: connector, to, sink } of assembly.connectors.values()) {
      if (!sinks.includes(sink)) continue
      sink.connect(assembly.pipelinesFrom(connector, to).map(one => one.way))
    }
    left.set(
      pipeline,
      pipeline.connect(
        steps.map(({ node }) => node),
        sinks,
        assembly.plan.flushingIn(id),
      ),
    )
  }
  for (const source of assembly.sources.values()) {
    const { id, signal } = source.books.name
    source.connect(assembly.pipelinesFrom(id, signal).map(pipeline => pipeline.way))
  }
  return left
}

/** What stands in `assembly` for a sink of the configuration before: itself when nothing does. */
export function successorOf(sink: Sink, assembly: Assembly): Sink {
  const sinks = [...assembly.destinations, ...[...assembly.connectors.values()].map(one => one.sink)]
  return sinks.find(one => one.books === sink.books) ?? sink
}
