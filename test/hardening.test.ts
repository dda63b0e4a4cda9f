/** What the page about hardening shows is right: configurations pass the check, manifests say what the text says. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { parse } from 'yaml'
import { components } from './support/components.ts'
import { loadPlan } from '../plan/load.ts'

const page = readFileSync(join(import.meta.dirname, '../docs/hardening.md'), 'utf8')
const blocks = [...page.matchAll(/^```yaml\n([\s\S]*?)^```$/gm)].map(([, text]) => text)
const of = (word: string) => blocks.filter(text => text.includes(word))

test('every block is a configuration, a pod or a policy', () => {
  expect(blocks).toHaveLength(of('\nreceivers:').length + of('kind: Pod').length + of('kind: NetworkPolicy').length)
})

test.each(of('\nreceivers:').map(text => [text]))('the configuration is right, without a warning', text => {
  const { configured, warnings } = loadPlan({ sources: [`yaml:${text}`], components, env: {} })
  expect(warnings).toEqual([])
  expect(configured.pipelines).toHaveLength(3)
  expect(text).not.toMatch(/insecure/)
})

test('the pod has no right that it does not need, and only the storage directory is written to', () => {
  const pod = parse(of('kind: Pod')[0]) as { spec: Record<string, unknown> }
  expect(pod.spec).toMatchObject({
    automountServiceAccountToken: false,
    securityContext: { runAsNonRoot: true, seccompProfile: { type: 'RuntimeDefault' } },
    containers: [
      {
        securityContext: {
          allowPrivilegeEscalation: false,
          readOnlyRootFilesystem: true,
          capabilities: { drop: ['ALL'] },
        },
        volumeMounts: [
          { mountPath: '/etc/kymo', readOnly: true },
          { name: 'data', mountPath: '/var/lib/kymo' },
        ],
      },
    ],
    // 0440, which YAML 1.2 has no octal for that all parsers know.
    volumes: [{ secret: { defaultMode: 0o440 } }, { name: 'data' }],
  })
})

test('the policy lets senders in on the ports of OTLP, and out only what is named', () => {
  const { spec } = parse(of('kind: NetworkPolicy')[0]) as { spec: { ingress: { ports: { port: number }[] }[] } }
  expect(spec).toMatchObject({ policyTypes: ['Ingress', 'Egress'] })
  expect(spec.ingress.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual([4317, 4318])
})
