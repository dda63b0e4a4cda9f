/** Components that need headers of requests, behind receivers that do not keep them. */
import type { Components, Declared } from './components.ts'
import { quoted } from './nearest.ts'
import type { Pipeline } from './pipelines.ts'
import type { Report } from './report.ts'

/** Warns of headers that are needed in a pipeline and that a receiver of it forgets. */
export function warnOfMetadata(pipeline: Pipeline, components: Components, report: Report): void {
  const forgetful = pipeline.receivers.filter(({ id }) => forgets(components.receiver.get(id)))
  if (forgetful.length === 0) return
  const users = [
    ...pipeline.processors.map(reference => ({ reference, user: components.processor.get(reference.id) })),
    ...pipeline.exporters.map(reference => ({ reference, user: components.exporter.get(reference.id) })),
  ]
  for (const { reference, user } of users) {
    const names = new Set(headersFor(user, components))
    if (names.size === 0) continue
    for (const { id } of forgetful) {
      const what = names.size === 1 ? 'the header' : 'headers'
      const message =
        `service::pipelines::${pipeline.id}: \`${reference.id}\` needs ${what} ${quoted(names)} of requests, ` +
        `and the receiver \`${id}\` keeps none`
      report.warn(
        'CONFIG_PIPELINE',
        reference.place,
        message,
        `set \`include_metadata: true\` at each protocol of \`${id}\``,
      )
    }
  }
}

/** Whether a receiver could keep headers and is nowhere told to. */
function forgets(receiver: Declared | undefined): boolean {
  const settings = [...valuesOf('include_metadata', receiver?.config)]
  return settings.length > 0 && !settings.includes(true)
}

/** The headers a component needs by itself, by its queue, or by the extension it authenticates with. */
function* headersFor(user: Declared | undefined, components: Components): Generator<string> {
  if (user === undefined) return
  yield* headersRead(user)
  if (user.kind !== 'exporter') return
  for (const names of valuesOf('metadata_keys', user.config)) {
    if (Array.isArray(names)) for (const name of names) yield String(name).toLowerCase()
  }
  for (const id of valuesOf('authenticator', user.config)) {
    const extension = components.extension.get(String(id))
    if (extension !== undefined) yield* headersRead(extension)
  }
}

function* headersRead({ definition, config }: Declared): Generator<string> {
  if (definition === undefined || definition.kind === 'receiver' || config === undefined) return
  // The definition's own schema has made it.
  for (const { depth, does, what } of definition.touches?.(config as never) ?? []) {
    if (depth === 'request' && does !== 'moves' && what.startsWith('metadata.')) yield what.slice('metadata.'.length)
  }
}

/** What stands under a key in a configuration, however deep. */
function* valuesOf(key: string, config: unknown): Generator {
  if (typeof config !== 'object' || config === null) return
  for (const [name, value] of Object.entries(config)) {
    if (name === key) yield value
    else yield* valuesOf(key, value)
  }
}
