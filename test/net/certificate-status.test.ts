import { expect, test } from 'vitest'
import { CertificateStatus } from '../../net/certificate-status.ts'

function told(isNamed: boolean) {
  const seen: string[] = []
  const set = (state: string, error?: string): boolean =>
    seen.push(error === undefined ? state : `${state} ${error}`) > 0
  return { seen, certificates: new CertificateStatus({ set }, isNamed) }
}

test('a component is well when the certificates of all its servers are', () => {
  const { seen, certificates } = told(true)
  certificates.tell('grpc', 'no such file')
  certificates.tell('http', undefined)
  certificates.tell('http', 'expired')
  certificates.tell('grpc', undefined)
  certificates.tell('http', undefined)
  expect(seen).toEqual([
    'RecoverableError grpc: no such file',
    'RecoverableError grpc: no such file',
    'RecoverableError grpc: no such file; http: expired',
    'RecoverableError http: expired',
    'OK',
  ])
})

test('one that has a single server says no more than what is wrong', () => {
  const { seen, certificates } = told(false)
  certificates.tell('http', 'expired')
  expect(seen).toEqual(['RecoverableError expired'])
})
