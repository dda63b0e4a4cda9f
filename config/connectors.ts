/** Connectors join pipelines: each must be used on both sides, and no way may lead back to where it started. */
import { elementAt } from '../core/element-at.ts'
import type { Signal } from '../proto/signals.ts'
import type { Components } from './components.ts'
import type { PipelineSection, Reference } from './pipelines.ts'
import type { Report } from './report.ts'

const names = (pipelines: readonly PipelineSection[]) => `[${pipelines.map(({ id }) => id).join(', ')}]`

const uses = (references: readonly Reference[], connector: string) => references.find(({ id }) => id === connector)

/** Connectors that take data and hand it nowhere, or that nothing leads to. */
export function tellHalfUsed(pipelines: readonly PipelineSection[], components: Components, report: Report): void {
  for (const [id, { definition }] of components.connector) {
    if (definition?.kind !== 'connector') continue
    const into = pipelines.filter(({ exporters }) => uses(exporters, id))
    const outOf = pipelines.filter(({ receivers }) => uses(receivers, id))
    const back = definition.joins.map(([from, to]) => [to, from] as const)
    tellSide({ id, side: 'exporter', here: into, there: outOf, pairs: definition.joins }, report)
    tellSide({ id, side: 'receiver', here: outOf, there: into, pairs: back }, report)
  }
}

/** One side of a connector: the pipelines that name it there, those on its other side, and what goes with what. */
interface Side {
  readonly id: string
  readonly side: 'exporter' | 'receiver'
  readonly here: readonly PipelineSection[]
  readonly there: readonly PipelineSection[]
  readonly pairs: readonly (readonly [here: Signal, there: Signal])[]
}

function tellSide({ id, side, here, there, pairs }: Side, report: Report): void {
  const placeIn = (pipeline: PipelineSection) => uses(pipeline[`${side}s`], id)?.place
  const stranded: PipelineSection[] = []
  for (const pipeline of here) {
    const beyond = pairs.filter(([mine]) => mine === pipeline.signal).map(([, other]) => other)
    if (beyond.length === 0) {
      const verb = side === 'exporter' ? 'take' : 'produce'
      const message = `service::pipelines::${pipeline.id}: the connector \`${id}\` does not ${verb} ${pipeline.signal}`
      const able = [...new Set(pairs.map(([mine]) => mine))].join(', ')
      report.error('CONFIG_PIPELINE', placeIn(pipeline), message, `as ${side} it supports ${able}`)
    } else if (!there.some(({ signal }) => beyond.includes(signal))) stranded.push(pipeline)
  }
  const [first] = stranded
  if (first === undefined) return
  const other = side === 'exporter' ? 'receiver' : 'exporter'
  const used = `used as ${side} in ${names(stranded)} pipeline`
  const message = `connector \`${id}\` ${used} but not used in any supported ${other} pipeline`
  report.error('CONFIG_PIPELINE', placeIn(first), message, `name it among the ${other}s of another pipeline`)
}

/** One connection of two pipelines by a connector. */
interface Joint {
  readonly connector: Reference
  readonly from: PipelineSection
  readonly to: PipelineSection
}

/** Ways through connectors that come back to a pipeline they have been in. */
export function tellCycles(pipelines: readonly PipelineSection[], components: Components, report: Report): void {
  const joints = new Map<PipelineSection, Joint[]>()
  for (const from of pipelines) {
    const found: Joint[] = []
    for (const connector of from.exporters) {
      const definition = components.connector.get(connector.id)?.definition
      if (definition?.kind !== 'connector') continue
      for (const to of pipelines) {
        const joins = definition.joins.some(([taken, made]) => taken === from.signal && made === to.signal)
        if (joins && uses(to.receivers, connector.id)) found.push({ connector, from, to })
      }
    }
    joints.set(from, found)
  }
  const done = new Set<PipelineSection>()
  const way: Joint[] = []
  const visit = (pipeline: PipelineSection): void => {
    for (const joint of joints.get(pipeline) ?? []) {
      const start = joint.to === pipeline ? way.length : way.findIndex(({ from }) => from === joint.to)
      if (start >= 0) tellCycle([...way.slice(start), joint], report)
      else if (!done.has(joint.to)) {
        way.push(joint)
        visit(joint.to)
        way.pop()
      }
    }
    done.add(pipeline)
  }
  for (const pipeline of pipelines) if (!done.has(pipeline)) visit(pipeline)
}

function tellCycle(cycle: readonly Joint[], report: Report): void {
  const first = elementAt(cycle, 0)
  const nodeOf = ({ connector, from, to }: Joint) => `connector \`${connector.id}\` (${from.signal} to ${to.signal})`
  const steps = cycle.flatMap((joint, i) => [
    nodeOf(joint),
    ...joint.to.processors.map(({ id }) => `processor \`${id}\` in pipeline \`${joint.to.id}\``),
    ...(i === cycle.length - 1 ? [nodeOf(first)] : []),
  ])
  const message = `cycle detected: ${steps.join(' -> ')}`
  report.error('CONFIG_PIPELINE', first.connector.place, message, 'data would go round for ever: cut it at one place')
}
