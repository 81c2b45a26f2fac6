"""sandbox tests"""
