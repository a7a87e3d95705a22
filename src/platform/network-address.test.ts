import { describe, expect, test } from 'vitest'
import { canonicalHost, classifyAddress, parseTarget } from './network-address.ts'

describe('an address is judged by the network it is in', () => {
  test.each([
    ['93.184.216.34', 'public'],
    ['2606:4700::1111', 'public'],
    ['::ffff:93.184.216.34', 'public'],
    ['64:ff9b::5db8:d822', 'public'],
    ['127.0.0.1', 'private'],
    ['127.255.0.9', 'private'],
    ['10.1.2.3', 'private'],
    ['172.31.0.1', 'private'],
    ['192.168.1.1', 'private'],
    ['100.64.0.1', 'private'],
    ['::1', 'private'],
    ['fd12::1', 'private'],
    ['::ffff:127.0.0.1', 'private'],
    ['::ffff:7f00:1', 'private'],
    ['169.254.169.254', 'forbidden'],
    ['::ffff:169.254.169.254', 'forbidden'],
    ['100.100.100.200', 'forbidden'],
    ['fd00:ec2::254', 'forbidden'],
    ['fe80::1', 'forbidden'],
    ['fe80::1%eth0', 'forbidden'],
    ['0.0.0.0', 'forbidden'],
    ['::', 'forbidden'],
    ['::7f00:1', 'forbidden'],
    ['64:ff9b::7f00:1', 'forbidden'],
    ['64:ff9b:1::1', 'forbidden'],
    ['2002:7f00:1::', 'forbidden'],
    ['2001:0:1::1', 'forbidden'],
    ['2001:db8::1', 'forbidden'],
    ['ff02::1', 'forbidden'],
    ['224.0.0.1', 'forbidden'],
    ['255.255.255.255', 'forbidden'],
    ['not an address', 'forbidden'],
    ['', 'forbidden'],
  ])('%s is %s', (address, expected) => {
    expect(classifyAddress(address)).toBe(expected)
  })
})

describe('a target has one spelling', () => {
  test.each([
    ['Example.COM.:443', { host: 'example.com', port: 443 }],
    ['0x7f.1:80', { host: '127.0.0.1', port: 80 }],
    ['2130706433:80', { host: '127.0.0.1', port: 80 }],
    ['0177.0.0.1:80', { host: '127.0.0.1', port: 80 }],
    ['[0:0:0:0:0:FFFF:127.0.0.1]:80', { host: '::ffff:7f00:1', port: 80 }],
    ['bücher.example:443', { host: 'xn--bcher-kva.example', port: 443 }],
    ['１２７.0.0.1:80', { host: '127.0.0.1', port: 80 }],
  ])('%s', (authority, expected) => {
    expect(parseTarget(authority)).toEqual(expected)
  })

  test.each([
    'example.com',
    'example.com:0',
    'example.com:65536',
    'user@example.com:80',
    'example.com:80/path',
    'example.com:80 x',
    'exa mple.com:80',
    ':80',
    '[::1:80',
    '%31%32%37.0.0.1:80',
    '',
  ])('%j is none', (authority) => {
    expect(parseTarget(authority)).toBeUndefined()
  })

  test('an IPv6 address may come without brackets', () => {
    expect(canonicalHost('::1')).toBe('::1')
    expect(canonicalHost('[::1]')).toBe('::1')
  })
})
