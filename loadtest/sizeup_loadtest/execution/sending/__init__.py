"""Sending of requests: closed and open loops, in this process or in workers."""
