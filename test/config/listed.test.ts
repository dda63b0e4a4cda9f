/** A configuration loads the components that it names, and says the same of them as if all were loaded. */
import { expect, test } from 'vitest'
import { components } from '../../components.ts'
import { ConfigErrors, loadConfig, loadListedConfig } from '../../config/load.ts'
import type { Listed } from '../../core/listed.ts'
import { components as everything } from '../support/components.ts'

const yaml = (receiver: string, exporter: string) => `
receivers: {${receiver}: {protocols: {http: }}}
exporters: {${exporter}: {endpoint: 'http://x'}}
service: {pipelines: {traces: {receivers: [${receiver}], exporters: [${exporter}]}}}`

/** The list, and the first names of what was loaded of it. */
function noting(): { listed: readonly Listed[]; loaded: string[] } {
  const loaded: string[] = []
  const listed = components.map(({ kind, names, load }) => ({
    kind,
    names,
    load() {
      loaded.push(`${kind} ${names[0]}`)
      return load()
    },
  }))
  return { listed, loaded }
}

/** What is wrong with it. */
async function errorsOf(load: () => unknown): Promise<readonly string[]> {
  try {
    await load()
  } catch (error) {
    if (error instanceof ConfigErrors) return error.errors.map(({ message, hint }) => `${message}; ${hint}`)
    throw error
  }
  return []
}

test.each([
  ['by its type', 'otlp_http'],
  ['by an alias', 'otlphttp/second'],
])('what is named %s is loaded, and nothing else', async (_, exporter) => {
  const { listed, loaded } = noting()
  const text = { name: 'a.yaml', text: yaml('otlp', exporter) }
  const { configured, hash } = await loadListedConfig({ sources: [], text, env: {}, components: listed })
  expect(loaded).toEqual(['receiver otlp', 'exporter otlp_http'])
  expect([...configured.exporters.keys()]).toEqual([exporter])
  expect(hash).toBe(loadConfig({ sources: [], text, env: {}, components: everything }).hash)
})

test.each([
  ['an unknown type', yaml('otlp', 'otlp_htp')],
  ['a type of another kind', yaml('debug', 'otlp_http')],
  [
    'an extension that is no storage',
    yaml('otlp', 'otlp_http').replace("'http://x'", "'http://x', sending_queue: {storage: zpages}") +
      '\nextensions: {zpages: }',
  ],
])('of what is wrong all is told that could be meant: %s', async (_, text) => {
  const given = { sources: [], text: { name: 'a.yaml', text }, env: {} }
  const told = await errorsOf(() => loadListedConfig({ ...given, components }))
  expect(told).not.toEqual([])
  expect(told).toEqual(await errorsOf(() => loadConfig({ ...given, components: everything })))
})

test('a file is read once, also where something is wrong: it may be a pipe', async () => {
  const read: string[] = []
  const readFile = (path: string) => {
    read.push(path)
    return yaml('otlp', 'otlp_htp')
  }
  await errorsOf(() => loadListedConfig({ sources: ['/dev/fd/63'], env: {}, components, readFile }))
  expect(read).toEqual(['/dev/fd/63'])
})

test('pipelines of Kyma load what they are turned into', async () => {
  const { listed, loaded } = noting()
  const text = `
apiVersion: telemetry.kyma-project.io/v1beta1
kind: TracePipeline
metadata: {name: backend}
spec:
  output:
    otlp:
      endpoint: {value: 'https://backend:4317'}
      authentication: {basic: {user: {value: me}, password: {value: secret}}}`
  const given = { sources: [], text: { name: 'a.yaml', text }, env: {} }
  const { configured } = await loadListedConfig({ ...given, components: listed })
  expect([...configured.extensions.keys()]).toEqual(['basicauth/tracepipeline-backend'])
  expect(loaded).not.toContain('exporter datadog')
})
