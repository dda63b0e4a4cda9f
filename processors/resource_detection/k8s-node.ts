import { readFile } from 'node:fs/promises'
import { messageOf } from '../../core/errors.ts'
import { type Detector, isOn, type Switches } from './detector.ts'
import { fetchJson, textAt } from './fetch-json.ts'

const onByDefault = ['k8s.node.name', 'k8s.node.uid']

/** Names of the attributes that the Kubernetes node detector knows. */
export const k8sNodeAttributes: readonly string[] = onByDefault

/** Where Kubernetes puts what a pod needs to talk to it. */
const serviceAccount = '/var/run/secrets/kubernetes.io/serviceaccount'

/** The node this runs on: its name from the environment, its uid from the API server. */
export function k8sNodeDetector(
  switches: Switches,
  variable: string,
  env: NodeJS.ProcessEnv,
  account = serviceAccount,
): Detector {
  return {
    name: 'k8snode',
    async detect(abort) {
      const name = env[variable] ?? ''
      if (name === '') {
        throw new Error(`the variable \`${variable}\` is not set; set it from \`spec.nodeName\` of the pod`)
      }
      const attributes = new Map<string, string>()
      if (isOn(switches, 'k8s.node.name', onByDefault)) attributes.set('k8s.node.name', name)
      if (!isOn(switches, 'k8s.node.uid', onByDefault)) return { attributes, problem: undefined }
      try {
        attributes.set('k8s.node.uid', await uidOf(name, env, account, abort))
        return { attributes, problem: undefined }
      } catch (error) {
        return { attributes, problem: `k8s.node.uid: ${messageOf(error)}` }
      }
    },
  }
}

async function uidOf(node: string, env: NodeJS.ProcessEnv, account: string, abort: AbortSignal): Promise<string> {
  const host = env['KUBERNETES_SERVICE_HOST']
  if (host === undefined) throw new Error('this does not run in a cluster: `KUBERNETES_SERVICE_HOST` is not set')
  const [token, ca] = await Promise.all([readFile(`${account}/token`, 'utf8'), readFile(`${account}/ca.crt`)])
  const answer = await fetchJson(
    {
      tls: true,
      host,
      port: Number(env['KUBERNETES_SERVICE_PORT'] ?? 443),
      path: `/api/v1/nodes/${encodeURIComponent(node)}`,
      headers: { authorization: `Bearer ${token.trim()}`, accept: 'application/json' },
      ca,
    },
    abort,
  )
  return textAt(answer, 'metadata', 'uid')
}
