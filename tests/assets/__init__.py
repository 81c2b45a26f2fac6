"""assets tests"""
