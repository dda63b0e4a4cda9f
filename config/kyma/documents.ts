/**
 * Documents of Kyma's Telemetry module (LogPipeline, TracePipeline, MetricPipeline) as a configuration. All of them are
 * turned into one, because they share a receiver, and how large a queue is depends on how many pipelines there are.
 */
import type { Definition } from '../../core/component.ts'
import { hide, type MapNode, type Node, readDocuments } from '../document.ts'
import { check } from '../issues.ts'
import { quoted, suggest } from '../nearest.ts'
import type { SourceText } from '../place.ts'
import type { Report } from '../report.ts'
import { toBeta } from './alpha.ts'
import { assemble } from './assemble.ts'
import { entryAt, itemsAt, textAt } from './nodes.ts'
import { type KymaPipeline, type PipelineKind, shapes } from './shapes.ts'

const group = 'telemetry.kyma-project.io'

/** What became of the sources. */
export interface KymaSources {
  /** What stands in for the sources that are Kyma's: the first has all of it, the others are empty. */
  readonly replaced: ReadonlyMap<SourceText, MapNode>
  /** The documents as they are, for where secrets stand in them. */
  readonly documents: readonly Node[]
}

/** Whether some of the sources may have documents of Kyma's. */
export const hasKyma = (sources: readonly SourceText[]): boolean => sources.some(mentionsKyma)

// Cheaper than reading every file twice.
const mentionsKyma = ({ text }: SourceText): boolean => text.includes(group)

/** Reads those of the sources that have documents of Kyma's. */
export function readKyma(
  sources: readonly SourceText[],
  definitions: readonly Definition[],
  report: Report,
): KymaSources {
  const replaced = new Map<SourceText, MapNode>()
  const documents: Node[] = []
  const pipelines: KymaPipeline[] = []
  for (const source of sources) {
    if (!mentionsKyma(source)) continue
    const found = listed(readDocuments(source, report))
    if (!found.some(document => apiOf(document).startsWith(`${group}/`))) continue
    documents.push(...found)
    replaced.set(source, { kind: 'map', place: { source, start: 0, end: 0 }, entries: new Map() })
    for (const document of found) pipelines.push(...readPipeline(document, report))
  }
  tellDuplicates(pipelines, report)
  const [first] = replaced.keys()
  if (first !== undefined && pipelines.length > 0) replaced.set(first, assemble(pipelines, definitions, report))
  return { replaced, documents }
}

const apiOf = (document: Node) => textAt(document, 'apiVersion') ?? ''

/** A `List`, as it comes out of a cluster, is its items. */
function listed(documents: readonly Node[]): Node[] {
  return documents.flatMap(document => (textAt(document, 'kind') === 'List' ? itemsAt(document, 'items') : [document]))
}

function* readPipeline(document: Node, report: Report): Generator<KymaPipeline> {
  const kind = textAt(document, 'kind') ?? ''
  const [api, version] = apiOf(document).split('/')
  if (document.kind !== 'map' || api !== group || !isKind(kind)) {
    // No shape says which of its values are secret.
    if (document.kind === 'map')
      for (const [key, { value }] of document.entries) if (key !== 'apiVersion' && key !== 'kind') hide(value)
    const key = entryAt(document, 'kind')?.key ?? document.place
    const hint = api === group ? suggest(kind, Object.keys(shapes), known) : known
    report.error('CONFIG_INVALID_VALUE', key, `\`${kind}\` is no pipeline that this build reads`, hint)
    return
  }
  const key = entryAt(document, 'apiVersion')?.key ?? document.place
  if (version !== 'v1beta1' && version !== 'v1alpha1') {
    report.error('CONFIG_INVALID_VALUE', key, `${kind}: unknown version \`${version}\``, `write \`${group}/v1beta1\``)
    return
  }
  const name = textAt(document, 'metadata', 'name') ?? ''
  const path = `${kind}/${name}`
  if (version === 'v1alpha1')
    report.warn('CONFIG_ID', key, `${path}: the version \`v1alpha1\` is deprecated`, `write \`${group}/v1beta1\``)
  const beta = version === 'v1alpha1' ? toBeta(document) : document
  check({ path, key, node: beta }, shapes[kind], report)
  // Also when something is wrong with it: what else is wrong is told at once.
  yield { kind, name, path, document: beta }
}

const known = `pipelines: ${quoted(Object.keys(shapes))}`
const isKind = (text: string): text is PipelineKind => Object.hasOwn(shapes, text)

function tellDuplicates(pipelines: readonly KymaPipeline[], report: Report): void {
  const seen = new Set<string>()
  for (const { path, document } of pipelines) {
    if (seen.has(path)) {
      const key = entryAt(document, 'metadata', 'name')?.value.place
      report.error('CONFIG_ID', key, `${path}: there are two of this name`, 'rename one of them')
    }
    seen.add(path)
  }
}
